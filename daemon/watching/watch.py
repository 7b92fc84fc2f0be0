"""inotify events of hot folders. They are only hints: no picture depends on them."""

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
from watchdog.observers.inotify import (
    InotifyEmitter,
    InotifyFullEmitter,
    InotifyObserver,
    InotifyWatchGroup,
)
from watchdog.observers.inotify_c import InotifyEvent

from daemon.disk import files, store, uploads
from daemon.jobs import Hint, HotFolder
from daemon.messages import EventsLost, FileEvent, Message
from daemon.watching import canary, scan
from daemon.watching.ignored_names import SkippedFolders

logger = logging.getLogger(__name__)

#: Never `opened` and `closed_no_write`: our own reading would trigger us again, endlessly.
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
#: An emitter that is being stopped sometimes logs this. No event gets lost.
HARMLESS_WARNING = "called when the thread is inactive"
NO_WATCH = -1
#: What the paths of two folders of ours end with: claims, and uploads that still come.
CLAIMS = os.fsencode(f"/{store.CLAIMS}")
INCOMING = os.fsencode(f"/{uploads.INCOMING}")

Put = Callable[[Message], None]


class EventHandler(FileSystemEventHandler):
    """Turns events into messages. Runs in watchdog's dispatch thread, which holds a lock."""

    def __init__(self, folder: str, put: Put) -> None:
        self.folder = folder
        self.put = put

    def dispatch(self, event: FileSystemEvent) -> None:
        """Put a message and do nothing else: an exception here would end all watching."""
        try:
            hint = HINTS.get(type(event))
            is_moved = isinstance(event, FileSystemMovedEvent)
            # A file that was renamed out of the folder has no new path: there is nothing to do.
            path = event.dest_path if is_moved else event.src_path
            if hint is not None and path:
                self.put(FileEvent(self.folder, Path(os.fsdecode(path)), hint))
        except Exception:
            logger.exception("an event of folder %s was not understood: %r", self.folder, event)


class WatchGroup(InotifyWatchGroup):
    """The watches of one folder, without those of its claims and of uploads that still come.

    watchdog would set watches on the folder of each claim and upload, and walk through it twice.
    That took more time than a claim, and its events told us nothing.
    """

    def on_event(self, event: InotifyEvent) -> None:
        """Leave out the folders that come into ours; the canary among the claims is a file.

        The start of a rename out of `INCOMING` is let through: watchdog joins it with the end, and
        says that all files of a whole upload were moved.
        """
        place = self._active_callbacks_by_watch.get(event.wd)
        is_ours = place == self.path + CLAIMS or (
            place == self.path + INCOMING and not event.is_moved_from
        )
        if not (is_ours and event.is_directory and event.name):
            super().on_event(event)


class Emitter(InotifyFullEmitter):
    """Full events distinguish a rename into the folder from the creation of a file."""

    def on_thread_start(self) -> None:
        """Set the watches."""
        self._inotify = WatchGroup(
            self._inotify_fd,
            os.fsencode(self.watch.path),
            is_recursive=self.watch.is_recursive,
            event_mask=self.get_event_mask_from_filter(),
            follow_symlink=self.watch.follow_symlink,
        )


class Observer(InotifyObserver):
    """An observer whose emitters are ours."""

    def __init__(self) -> None:
        super().__init__()
        self._emitter_class = Emitter


class OverflowListener(logging.Handler):
    """Turns watchdog's log lines about lost events into messages; there is no other sign."""

    def __init__(self, report: Callable[[str], None]) -> None:
        super().__init__(level=logging.WARNING)
        self.report = report

    def emit(self, record: logging.LogRecord) -> None:
        """Report any warning of watchdog: events may be missing."""
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
    """Keeps inotify watches on hot folders and notices when they stop working."""

    def __init__(self, put: Put) -> None:
        """``put`` takes messages from any thread and never blocks."""
        self.put = put
        self.observer: InotifyObserver | None = None  # made when needed: making it may fail
        self.watched: dict[str, WatchedFolder] = {}
        self.listener = OverflowListener(self.report_lost_events)

    def start(self) -> None:
        """Start to listen to watchdog's log."""
        watchdog_logger = logging.getLogger(WATCHDOG_LOGGER)
        watchdog_logger.addHandler(self.listener)
        # Independent of our own log level: a warning is the only sign of a lost event.
        watchdog_logger.setLevel(logging.WARNING)

    def stop(self) -> None:
        """End all watches."""
        watchdog_logger = logging.getLogger(WATCHDOG_LOGGER)
        watchdog_logger.removeHandler(self.listener)
        watchdog_logger.setLevel(logging.CRITICAL)
        self.reset()

    def reset(self) -> None:
        """Remove all watches and their threads; each folder has to be added again."""
        observer, self.observer = self.observer, None
        self.watched.clear()
        if observer is not None:
            observer.stop()  # also a dead one: it holds threads and a descriptor
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
        except RecursionError as error:  # watchdog walks through the tree recursively
            self.remove(folder)
            text = "its folders lie too deep in each other to be watched"
            raise OSError(errno.ENAMETOOLONG, text, str(folder.path)) from error
        except OSError:
            self.remove(folder)
            raise

    def running_observer(self) -> InotifyObserver:
        """Return the observer; a new one if there is none or it has died: it cannot start twice."""
        if self.observer is not None and not is_running(self.observer):
            logger.warning("the watch for file events has failed and is started again")
            self.reset()
        if self.observer is None:
            self.observer = Observer()
            self.observer.start()
        return self.observer

    def remove(self, folder: HotFolder) -> None:
        """Stop watching a folder, even if the folder has gone."""
        watched = self.watched.pop(folder.name, None)
        if watched is None or self.observer is None:
            return
        known = {emitter.watch for emitter in self.observer.emitters}
        for watch in watched.watches:
            if watch in known:
                self.observer.unschedule(watch)

    def is_broken(self, folder: HotFolder) -> bool:
        """Whether the path now leads to another folder, or the watch or its thread has gone."""
        watched = self.watched.get(folder.name)
        if watched is None or self.observer is None or not self.observer.is_alive():
            return True
        status = folder.path.stat()
        alive = {emitter.watch for emitter in self.observer.emitters if emitter.is_alive()}
        return (
            (status.st_dev, status.st_ino) != (watched.device, watched.inode)
            or not alive.issuperset(watched.watches)
            # A file system that was mounted again may have the same device and inode numbers.
            or not any(has_watch(paths, folder.path) for paths in self.watched_paths(watched))
            # Where there is a canary, it tells whether events arrive.
            or (canary.file_path(folder) is None and not is_running(self.observer))
        )

    @property
    def is_busy(self) -> bool:
        """Whether some events have not become messages yet."""
        return self.observer is not None and not self.observer.event_queue.empty()

    def unwatched_folders(self, folder: HotFolder) -> set[Path]:
        """Return the folders, including the top itself, that should have a watch and have none.

        watchdog does not report a sub-folder for which the kernel had no watch left.
        """
        below = scan.folders(folder.path, is_deep=folder.recursive, skipped=SkippedFolders(folder))
        wanted = {*below, *own_folders(folder)}
        watched = self.watched.get(folder.name)
        held = self.watched_paths(watched) if watched is not None else []
        return {path for path in wanted if not any(has_watch(paths, path) for paths in held)}

    def watched_paths(self, watched: WatchedFolder) -> list[Mapping[bytes, int]]:
        """Return the paths with a kernel watch; watchdog has only private names for them."""
        emitters = set(self.observer.emitters) if self.observer is not None else set()
        groups = [
            emitter._inotify
            for emitter in emitters
            if isinstance(emitter, InotifyEmitter) and emitter.watch in watched.watches
        ]
        # Copied in one step, because the library's thread changes them.
        return [group._active_callbacks_by_path.copy() for group in groups if group is not None]

    def report_lost_events(self, reason: str) -> None:
        """Report that every watched folder may have lost events."""
        for name in list(self.watched):
            self.put(EventsLost(name, reason))


def is_running(observer: InotifyObserver) -> bool:
    """Whether both threads of an observer run; its own method checks only one of them."""
    return observer.is_alive() and observer._inotify_fd.is_alive()


def has_watch(paths: Mapping[bytes, int], path: Path) -> bool:
    """Whether a path has a watch; an unreadable path is listed without one."""
    return paths.get(os.fsencode(path), NO_WATCH) != NO_WATCH


def own_folders(folder: HotFolder) -> list[Path]:
    """Return the folder itself and, if it exists, the folder of the canary."""
    canary_file = canary.file_path(folder)
    has_canary_folder = canary_file is not None and files.is_folder(canary_file.parent)
    return (
        [folder.path, canary_file.parent]
        if canary_file is not None and has_canary_folder
        else [folder.path]
    )


def folders_to_watch(folder: HotFolder) -> list[Path]:
    """Return where watches are set; a recursive one covers the canary's folder."""
    return [folder.path] if folder.recursive else own_folders(folder)
