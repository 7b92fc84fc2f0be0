"""Hints that something happened in a hot folder. Nothing relies on them."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import ObservedWatch
from watchdog.observers.inotify import InotifyObserver

from daemon.jobs import Hint, HotFolder, Message, Seen, WatchTrouble

logger = logging.getLogger(__name__)

#: Never `opened` and `closed_no_write`: our own reading would call us again, for ever.
EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileClosedEvent,
    FileMovedEvent,
    DirCreatedEvent,
    DirMovedEvent,
]
HINTS = {
    FileCreatedEvent: Hint.CREATED,
    FileClosedEvent: Hint.CLOSED,
    FileMovedEvent: Hint.MOVED,
    DirCreatedEvent: Hint.FOLDER,
    DirMovedEvent: Hint.FOLDER,
}
STOP_S = 5.0
WATCHDOG_LOGGER = "watchdog.observers"

Put = Callable[[Message], None]


class Handler(FileSystemEventHandler):
    """Turns events into messages. It runs in watchdog's dispatch thread, which holds a lock."""

    def __init__(self, folder: str, put: Put) -> None:
        self.folder = folder
        self.put = put

    def dispatch(self, event: FileSystemEvent) -> None:
        """Put a message and nothing else: an exception here would end all watching."""
        try:
            hint = HINTS.get(type(event))
            path = event.dest_path if hint in (Hint.MOVED, Hint.FOLDER) else event.src_path
            path = path or event.src_path
            if hint is not None and path:
                self.put(Seen(self.folder, Path(os.fsdecode(path)), hint))
        except Exception:
            logger.exception("an event of folder %s was not understood: %r", self.folder, event)


class OverflowListener(logging.Handler):
    """watchdog tells of lost events by its log alone; this turns such a line into messages."""

    def __init__(self, report: Callable[[str], None]) -> None:
        super().__init__(level=logging.WARNING)
        self.report = report

    def emit(self, record: logging.LogRecord) -> None:
        """Any warning of watchdog means that events may be missing."""
        self.report(record.getMessage())


@dataclass(frozen=True, slots=True)
class Watched:
    """A folder that is being watched, as it was when the watch was set."""

    watch: ObservedWatch
    device: int
    inode: int


class Watcher:
    """Keeps inotify watches on hot folders and notices when they go deaf."""

    def __init__(self, put: Put) -> None:
        """``put`` takes messages from any thread and never blocks."""
        self.put = put
        self.observer = new_observer()
        self.watched: dict[str, Watched] = {}
        self.listener = OverflowListener(self.report_all)

    def start(self) -> None:
        """Begin to deliver events."""
        watchdog_logger = logging.getLogger(WATCHDOG_LOGGER)
        watchdog_logger.addHandler(self.listener)
        watchdog_logger.setLevel(logging.NOTSET)
        self.observer.start()

    def stop(self) -> None:
        """End all watches."""
        watchdog_logger = logging.getLogger(WATCHDOG_LOGGER)
        watchdog_logger.removeHandler(self.listener)
        # An emitter that is being stopped sometimes complains that it is.
        watchdog_logger.setLevel(logging.CRITICAL)
        if self.observer.is_alive():
            self.observer.stop()
            self.observer.join(STOP_S)

    def add(self, folder: HotFolder) -> None:
        """Watch a folder; `OSError` if there are no watches left or the folder is gone."""
        if not self.observer.is_alive():
            self.renew()
        status = folder.path.stat()
        watch = self.observer.schedule(
            Handler(folder.name, self.put),
            str(folder.path),
            recursive=folder.recursive,
            event_filter=EVENTS,
        )
        self.watched[folder.name] = Watched(watch, status.st_dev, status.st_ino)

    def renew(self) -> None:
        """A dead observer cannot be started again; all folders need a new watch then."""
        logger.warning("watching has broken down and begins anew")
        self.watched.clear()
        self.observer = new_observer()
        self.observer.start()

    def remove(self, folder: HotFolder) -> None:
        """Stop watching a folder, also one that has gone."""
        watched = self.watched.pop(folder.name, None)
        if watched is not None and watched.watch in {e.watch for e in self.observer.emitters}:
            self.observer.unschedule(watched.watch)

    def is_deaf(self, folder: HotFolder) -> bool:
        """The watch is on another folder than has this path now, or its thread has died."""
        watched = self.watched.get(folder.name)
        if watched is None:
            return True
        status = folder.path.stat()
        alive = {emitter.watch for emitter in self.observer.emitters if emitter.is_alive()}
        return (
            (status.st_dev, status.st_ino) != (watched.device, watched.inode)
            or watched.watch not in alive
            or not self.observer.is_alive()
        )

    def report_all(self, reason: str) -> None:
        """Every folder may have lost events."""
        for name in list(self.watched):
            self.put(WatchTrouble(name, reason))


def new_observer() -> InotifyObserver:
    """Full events tell a rename into the folder from a file that is only being created."""
    return InotifyObserver(generate_full_events=True)
