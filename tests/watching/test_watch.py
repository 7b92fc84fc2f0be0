"""What watchdog's events and private names mean to us; run against every version we allow."""

import logging
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest
from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
)

from daemon.jobs import Hint, HotFolder
from daemon.messages import FileEvent, Message
from daemon.watching.watch import EventHandler, OverflowListener, Watcher, has_watch
from tests.samples import make_folder
from tests.watching.watch_kit import PATIENCE_S


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (FileCreatedEvent("/hot/a"), FileEvent("hot", Path("/hot/a"), Hint.CREATED)),
        (FileClosedEvent("/hot/a"), FileEvent("hot", Path("/hot/a"), Hint.CLOSED)),
        (FileMovedEvent("/hot/a", "/hot/b"), FileEvent("hot", Path("/hot/b"), Hint.MOVED)),
        (FileMovedEvent("", "/hot/b"), FileEvent("hot", Path("/hot/b"), Hint.MOVED)),
        (DirCreatedEvent("/hot/d"), FileEvent("hot", Path("/hot/d"), Hint.FOLDER)),
        (DirMovedEvent("/hot/d", "/hot/e"), FileEvent("hot", Path("/hot/e"), Hint.FOLDER)),
        (FileMovedEvent("/hot/a", ""), None),  # our own claim, where its folder has no watch
        (DirMovedEvent("/hot/d", ""), None),
    ],
)
def test_event_becomes_a_hint(event: FileSystemEvent, expected: FileEvent | None) -> None:
    """What was renamed counts under its new name; what has left the folder, not at all."""
    told: list[Message] = []
    EventHandler("hot", told.append).dispatch(event)

    assert told == ([] if expected is None else [expected])


@pytest.fixture
def folder(tmp_path: Path) -> HotFolder:
    """A hot folder with two sub-folders and one that is ignored."""
    folder = make_folder(tmp_path)
    for name in ("a", "a/b", ".hidden"):
        (folder.path / name).mkdir(parents=True)
    return folder


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    """A watcher whose messages nobody reads."""
    watcher = Watcher(lambda message: None)
    watcher.start()
    yield watcher
    watcher.stop()


def test_folders_that_have_a_watch(folder: HotFolder, watcher: Watcher) -> None:
    """The library's private names still tell them: none is missing once the folder is watched."""
    before = watcher.unwatched_folders(folder)
    watcher.add(folder)

    assert before == {folder.path, folder.path / "a", folder.path / "a/b"}
    assert watcher.unwatched_folders(folder) == set()
    assert not watcher.is_broken(folder)


def test_folder_that_is_watched_no_more(folder: HotFolder, watcher: Watcher) -> None:
    """It may be watched again."""
    watcher.add(folder)
    watcher.remove(folder)
    deaf = watcher.is_broken(folder)
    watcher.add(folder)

    assert (deaf, watcher.is_broken(folder)) == (True, False)


def test_claims_have_no_watch(folder: HotFolder) -> None:
    """Their folders come and go with each picture, and no event in them tells us anything."""
    told: SimpleQueue[Message] = SimpleQueue()
    watcher = Watcher(told.put)
    watcher.start()
    try:
        watcher.add(folder)
        claim = folder.path / ".cvunetd" / "1" / "a"
        claim.mkdir(parents=True)
        (claim / "cat.jpg").touch()
        (folder.path / "last.jpg").touch()
        paths = []
        while folder.path / "last.jpg" not in paths:
            message = told.get(timeout=PATIENCE_S)
            assert isinstance(message, FileEvent)
            paths.append(message.path)
        [watched] = watcher.watched_paths(watcher.watched[folder.name])
    finally:
        watcher.stop()

    assert [path for path in paths if claim.parent in (path, *path.parents)] == []
    assert has_watch(watched, folder.path / "a" / "b")
    assert has_watch(watched, claim.parents[1])  # where the canary is
    assert not has_watch(watched, claim.parent)
    assert not has_watch(watched, claim)


def test_uploads_have_no_watch_until_they_are_whole(folder: HotFolder) -> None:
    """What comes into them is no news; then all of it is told as renamed into place."""
    told: SimpleQueue[Message] = SimpleQueue()
    watcher = Watcher(told.put)
    watcher.start()
    incoming, upload = folder.path / ".incoming", folder.path / ("0" * 22)
    incoming.mkdir()
    try:
        watcher.add(folder)
        (incoming / upload.name).mkdir()
        (incoming / upload.name / "cat.jpg").write_bytes(b"picture")
        (incoming / upload.name).rename(upload)
        (folder.path / "last.jpg").touch()
        events: list[FileEvent] = []
        while not events or events[-1].path != folder.path / "last.jpg":
            message = told.get(timeout=PATIENCE_S)
            assert isinstance(message, FileEvent)
            events.append(message)
        [watched] = watcher.watched_paths(watcher.watched[folder.name])
    finally:
        watcher.stop()

    assert [event for event in events if event.path.is_relative_to(incoming)] == []
    assert FileEvent(folder.name, upload / "cat.jpg", Hint.MOVED) in events
    assert has_watch(watched, upload)
    assert not has_watch(watched, incoming / upload.name)


def test_complaint_of_a_stopping_thread_is_no_loss() -> None:
    """Else each watch that is set anew would bring a needless sweep of everything."""
    told: list[str] = []
    listener = OverflowListener(told.append)
    for text in (
        "InotifyEmitter.queue_events() called when the thread is inactive",
        "Inotify queue overflowed; filesystem events were lost",
    ):
        listener.emit(listener_record(text))

    assert told == ["Inotify queue overflowed; filesystem events were lost"]


def listener_record(text: str) -> logging.LogRecord:
    """A line of watchdog's log."""
    return logging.LogRecord("watchdog.observers.inotify", logging.ERROR, "", 0, text, None, None)
