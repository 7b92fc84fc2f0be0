"""Hints that something happened in a hot folder. Nothing relies on them."""

import errno
import logging
import os
from collections.abc import Callable, Mapping
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
    FileSystemMovedEvent,
)
from watchdog.observers.api import ObservedWatch
from watchdog.observers.inotify import InotifyEmitter, InotifyObserver

from daemon.disk import files
from daemon.jobs import Hint, HotFolder
from daemon.messages import EventsLost, FileEvent, Message
from daemon.watching import canary, scan

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
#: An emitter that is being stopped sometimes complains that it is. No event is lost by that.
HARMLESS_WARNING = "called when the thread is inactive"
NO_WATCH = -1

Put = Callable[[Message], None]


class EventHandler(FileSystemEventHandler):
    """Turns events into messages. It runs in watchdog's dispatch thread, which holds a lock."""

    def __init__(self, folder: str, put: Put) -> None:
        self.folder = folder
        self.put = put

    def dispatch(self, event: FileSystemEvent) -> None:
        """Put a message and nothing else: an exception here would end all watching."""
        try:
            hint = HINTS.get(type(event))
            is_moved = isinstance(event, FileSystemMovedEvent)
            # What is renamed out of the folder has no new path and is nothing to look at.
            path = event.dest_path if is_moved else event.src_path
            if hint is not None and path:
                self.put(FileEvent(self.folder, Path(os.fsdecode(path)), hint))
        except Exception:
            logger.exception("an event of folder %s was not understood: %r", self.folder, event)


class OverflowListener(logging.Handler):
    """watchdog tells of lost events by its log alone; this turns such a line into messages."""

    def __init__(self, report: Callable[[str], None]) -> None:
        super().__init__(level=logging.WARNING)
        self.report = report

    def emit(self, record: logging.LogRecord) -> None:
        """Any warning of watchdog means that events may be missing."""
        message = record.getMessage()
        if HARMLESS_WARNING not in message:
            self.report(message)


@dataclass(frozen=True, slots=True)
class WatchedFolder:
    """A folder that is being watched, as it was when the watch was set."""

    watches: list[ObservedWatch]
    device: int
    inode: int


class Watcher:
    """Keeps inotify watches on hot folders and notices when they go deaf."""

    def __init__(self, put: Put) -> None:
        """``put`` takes messages from any thread and never blocks."""
        self.put = put
        self.observer: InotifyObserver | None = None  # made when needed: that alone may fail
        self.watched: dict[str, WatchedFolder] = {}
        self.listener = OverflowListener(self.report_lost_events)

    def start(self) -> None:
        """Begin to listen for what watchdog only logs."""
        watchdog_logger = logging.getLogger(WATCHDOG_LOGGER)
        watchdog_logger.addHandler(self.listener)
        # Whatever a user wants to read: a lost event is told by a warning and by nothing else.
        watchdog_logger.setLevel(logging.WARNING)

    def stop(self) -> None:
        """End all watches."""
        watchdog_logger = logging.getLogger(WATCHDOG_LOGGER)
        watchdog_logger.removeHandler(self.listener)
        watchdog_logger.setLevel(logging.CRITICAL)
        self.reset()

    def reset(self) -> None:
        """Throw all watches away with the threads behind them; each folder has to be added anew."""
        observer, self.observer = self.observer, None
        self.watched.clear()
        if observer is not None:
            observer.stop()  # also one that has died: it holds threads and a descriptor
            observer.join(STOP_S)

    def add(self, folder: HotFolder) -> None:
        """Watch a folder; `OSError` if there are no watches left or the folder is gone."""
        observer = self.running_observer()
        status = folder.path.stat()
        canary.prepare(folder)
        watches: list[ObservedWatch] = []
        self.watched[folder.name] = WatchedFolder(watches, status.st_dev, status.st_ino)
        handler = EventHandler(folder.name, self.put)
        try:
            for place in folders_to_watch(folder):
                is_deep = folder.recursive and place == folder.path
                watches.append(
                    observer.schedule(handler, str(place), recursive=is_deep, event_filter=EVENTS)
                )
        except RecursionError as error:  # watchdog walks through the tree by calling itself
            self.remove(folder)
            text = "its folders lie too deep in each other to be watched"
            raise OSError(errno.ENAMETOOLONG, text, str(folder.path)) from error
        except OSError:
            self.remove(folder)
            raise

    def running_observer(self) -> InotifyObserver:
        """The observer; a new one if there is none or it has died, for it cannot start twice."""
        if self.observer is not None and not is_running(self.observer):
            logger.warning("watching has broken down and begins anew")
            self.reset()
        if self.observer is None:
            # Full events tell a rename into the folder from a file that is only being created.
            self.observer = InotifyObserver(generate_full_events=True)
            self.observer.start()
        return self.observer

    def remove(self, folder: HotFolder) -> None:
        """Stop watching a folder, also one that has gone."""
        watched = self.watched.pop(folder.name, None)
        if watched is None or self.observer is None:
            return
        known = {emitter.watch for emitter in self.observer.emitters}
        for watch in watched.watches:
            if watch in known:
                self.observer.unschedule(watch)

    def is_broken(self, folder: HotFolder) -> bool:
        """The watch is on another folder than has this path now, or it or its thread has gone."""
        watched = self.watched.get(folder.name)
        if watched is None or self.observer is None or not self.observer.is_alive():
            return True
        status = folder.path.stat()
        alive = {emitter.watch for emitter in self.observer.emitters if emitter.is_alive()}
        return (
            (status.st_dev, status.st_ino) != (watched.device, watched.inode)
            or not alive.issuperset(watched.watches)
            # A file system that is mounted anew may look the same in all the numbers above.
            or not any(has_watch(paths, folder.path) for paths in self.watched_paths(watched))
            # Where a canary sings, it tells.
            or (canary.file_path(folder) is None and not is_running(self.observer))
        )

    @property
    def is_busy(self) -> bool:
        """Events have come that are not messages yet."""
        return self.observer is not None and not self.observer.event_queue.empty()

    def unwatched_folders(self, folder: HotFolder) -> set[Path]:
        """Folders below, and the top itself, that should have a watch and have none.

        watchdog says nothing of a sub-folder for which the kernel had no watch left.
        """
        below = scan.folders(folder.path, is_deep=folder.recursive, skipped=folder.skipped)
        wanted = {*below, *own_folders(folder)}
        watched = self.watched.get(folder.name)
        held = self.watched_paths(watched) if watched is not None else []
        return {path for path in wanted if not any(has_watch(paths, path) for paths in held)}

    def watched_paths(self, watched: WatchedFolder) -> list[Mapping[bytes, int]]:
        """What has a watch of the kernel's; watchdog tells it by private names alone."""
        emitters = set(self.observer.emitters) if self.observer is not None else set()
        groups = [
            emitter._inotify
            for emitter in emitters
            if isinstance(emitter, InotifyEmitter) and emitter.watch in watched.watches
        ]
        # Copied in one step: the library's thread changes them.
        return [group._active_callbacks_by_path.copy() for group in groups if group is not None]

    def report_lost_events(self, reason: str) -> None:
        """Every folder may have lost events."""
        for name in list(self.watched):
            self.put(EventsLost(name, reason))


def is_running(observer: InotifyObserver) -> bool:
    """Both its threads run; it shows but one of them, and the reader may die unnoticed."""
    return observer.is_alive() and observer._inotify_fd.is_alive()


def has_watch(paths: Mapping[bytes, int], path: Path) -> bool:
    """A path has a watch; one that may not be read is listed without."""
    return paths.get(os.fsencode(path), NO_WATCH) != NO_WATCH


def own_folders(folder: HotFolder) -> list[Path]:
    """The folder itself and, if there is one, the canary's."""
    canary_file = canary.file_path(folder)
    has_canary_folder = canary_file is not None and files.is_folder(canary_file.parent)
    return (
        [folder.path, canary_file.parent]
        if canary_file is not None and has_canary_folder
        else [folder.path]
    )


def folders_to_watch(folder: HotFolder) -> list[Path]:
    """Where watches are set: a recursive one covers the canary's folder."""
    return [folder.path] if folder.recursive else own_folders(folder)
