"""Proof that events arrive: a file of our own is touched, and its event must come."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from daemon.disk import safe_open, store
from daemon.errors import describe
from daemon.jobs import HotFolder

logger = logging.getLogger(__name__)

NAME = "canary"
#: How long an event may take on a busy machine; a healthy one needs half a second.
EVENT_TIMEOUT_S = 10.0
MAX_TOUCHES = 2  # one event may get lost, for instance in a folder that was just made


@dataclass(frozen=True, slots=True)
class CanaryTouch:
    """A touch whose event has not come yet."""

    number: int
    overdue_at: float
    """On the monotonic clock."""


class Canary:
    """Touches a file in each hot folder that we may write to, and knows which events did not come.

    A touch opens the file for writing and closes it again. That causes an event but no write, so
    the disk of an idle daemon can sleep.
    """

    def __init__(self) -> None:
        self.touches: dict[str, CanaryTouch] = {}

    def touch(self, folder: HotFolder, *, monotonic: float) -> bool:
        """Touch the file, unless an event is already awaited; False if it cannot be touched."""
        return folder.name in self.touches or self.touch_file(folder, 1, monotonic=monotonic)

    def touch_again(self, folder: HotFolder, *, monotonic: float) -> bool:
        """Touch the file once more; False if all touches brought no event."""
        number = self.touches[folder.name].number + 1
        if number > MAX_TOUCHES:
            self.forget(folder.name)
            return False
        self.touch_file(folder, number, monotonic=monotonic)
        return True

    def touch_file(self, folder: HotFolder, number: int, *, monotonic: float) -> bool:
        """Touch the file and start to wait for its event."""
        path = file_path(folder)
        if path is None or not try_touch(path):
            self.forget(folder.name)
            return False
        self.touches[folder.name] = CanaryTouch(number, monotonic + EVENT_TIMEOUT_S)
        return True

    def note_event(self, name: str) -> bool:
        """Note that an event of this folder has come; True if one was awaited."""
        return self.touches.pop(name, None) is not None

    def is_overdue(self, name: str, *, monotonic: float) -> bool:
        """Whether the event of the last touch should have come by now."""
        touch = self.touches.get(name)
        return touch is not None and monotonic >= touch.overdue_at

    def forget(self, name: str) -> None:
        """Stop waiting for an event: the folder or its watch has gone."""
        self.touches.pop(name, None)


def file_path(folder: HotFolder) -> Path | None:
    """Return the path of the canary's file; None for a folder that we do not write to."""
    return None if folder.originals == "keep" else folder.path / store.CLAIMS / NAME


def prepare(folder: HotFolder) -> None:
    """Make the canary's folder and file before a watch is set, so that the watch covers them."""
    path = file_path(folder)
    try:
        if path is not None:
            safe_open.make_claims(folder.path)
            try_touch(path)
    except OSError as error:
        logger.debug("%s cannot be made: %s", path, describe(error))


def try_touch(path: Path) -> bool:
    """Open for writing, write nothing, close; follows no link. Returns False if that fails."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with safe_open.parent(path) as folder:
            os.close(os.open(path.name, flags, 0o600, dir_fd=folder))
    except OSError as error:
        logger.debug("%s cannot be touched: %s", path, describe(error))
        return False
    return True
