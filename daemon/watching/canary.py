"""Proof that events arrive: a file of ours is touched, and its event must come."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from daemon.disk import files, modes, store
from daemon.errors import describe
from daemon.jobs import HotFolder

logger = logging.getLogger(__name__)

NAME = "canary"
#: Time for an event on a busy machine; a healthy one needs half a second.
PATIENCE_S = 10.0
SONGS = 2  # one event may be lost, for instance with a folder that was made that moment


@dataclass(frozen=True, slots=True)
class CanaryTouch:
    """A touch whose event is waited for."""

    number: int
    overdue_at: float
    """On the monotonic clock."""


class Canary:
    """Sings in each hot folder that we may write to, and knows where nobody heard it.

    It sings by opening its file for writing and closing it again: an event, but no write, for an
    idle daemon lets its disk sleep.
    """

    def __init__(self) -> None:
        self.songs: dict[str, CanaryTouch] = {}

    def sing(self, folder: HotFolder, *, monotonic: float) -> bool:
        """Touch the file, unless an event is waited for already; False where we cannot."""
        return folder.name in self.songs or self.touch(folder, 1, monotonic=monotonic)

    def sing_again(self, folder: HotFolder, *, monotonic: float) -> bool:
        """Touch the file once more; False if it was touched often enough, and nobody heard."""
        number = self.songs[folder.name].number + 1
        if number > SONGS:
            self.forget(folder.name)
            return False
        self.touch(folder, number, monotonic=monotonic)
        return True

    def touch(self, folder: HotFolder, number: int, *, monotonic: float) -> bool:
        """Touch the file and begin to wait for its event."""
        path = perch(folder)
        if path is None or not is_touched(path):
            self.forget(folder.name)
            return False
        self.songs[folder.name] = CanaryTouch(number, monotonic + PATIENCE_S)
        return True

    def hear(self, name: str) -> bool:
        """An event of this folder has come; True if one was waited for."""
        return self.songs.pop(name, None) is not None

    def is_overdue(self, name: str, *, monotonic: float) -> bool:
        """A song should have been heard by now."""
        song = self.songs.get(name)
        return song is not None and monotonic >= song.overdue_at

    def forget(self, name: str) -> None:
        """Nobody can hear it: its folder or its watch has gone."""
        self.songs.pop(name, None)


def perch(folder: HotFolder) -> Path | None:
    """Where the canary sings: among our own files; None in a folder that we do not write to."""
    return None if folder.originals == "keep" else folder.path / store.CLAIMS / NAME


def prepare(folder: HotFolder) -> None:
    """Make the canary's place before a watch is set, so that the watch covers it."""
    path = perch(folder)
    try:
        if path is not None:
            files.make_folders(path.parent)
            is_touched(path)
    except OSError as error:
        logger.debug("%s cannot be made: %s", path, describe(error))


def is_touched(path: Path) -> bool:
    """Open for writing, write nothing, close; no link is followed. False if that cannot be."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        os.close(os.open(path, flags, modes.FILE))
    except OSError as error:
        logger.debug("%s cannot be touched: %s", path, describe(error))
        return False
    return True
