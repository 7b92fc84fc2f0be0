"""What the process writes into the state folder if it ends by a fault of its own.

A process that was ended from outside (kill -9, a power cut, the kernel without memory) writes
nothing here. So the next start knows whether the pictures in work may have caused the end.
"""

import faulthandler
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from daemon.disk import files
from daemon.disk.crash_notes import header, read
from daemon.errors import Blame, blame, describe

logger = logging.getLogger(__name__)

FILE = "crash"
#: The note of the latest crash, for people.
KEPT = "crash.last"


class CrashNote:
    """The note of this life, and what the life before has noted."""

    def __init__(self, before: str = "", stream: BinaryIO | None = None) -> None:
        """``before``: why the process before has crashed; empty if it was ended from outside."""
        self.before = before
        self.stream = stream

    def write(self, reason: str) -> None:
        """Note why the process is about to end; if the disk is full, nothing is noted."""
        if self.stream is None:
            return
        with suppress(OSError):
            self.stream.write(f"{' '.join(reason.split())}\n".encode())
            self.stream.flush()

    def take_back(self) -> None:
        """What was noted does not hold any more: what hung gets on again."""
        if self.stream is None:
            return
        with suppress(OSError):
            self.stream.seek(0)
            self.stream.truncate()
            self.stream.write(header())
            self.stream.flush()


@contextmanager
def noting_crashes(state: Path) -> Iterator[CrashNote]:
    """Note crashes of this process from here on; read what the process before has noted.

    The state folder must be ours already. If it cannot be written, the daemon starts all the same.
    """
    path = state / FILE
    before = read(path)
    if before:
        logger.error("the process before has crashed: %s (more in %s)", before, state / KEPT)
    stream = begun(path, is_kept=bool(before))
    if stream is None:
        yield CrashNote(before)
        return
    note = CrashNote(before, stream)
    was_enabled = faulthandler.is_enabled()
    faulthandler.enable(stream)
    try:
        yield note
    except Exception as error:
        if is_own_fault(error):
            note.write(describe(error))
        raise
    finally:
        faulthandler.disable()
        stream.close()
        if was_enabled:
            with suppress(OSError, ValueError, AttributeError, RuntimeError):  # no real stderr
                faulthandler.enable()


def begun(path: Path, *, is_kept: bool) -> BinaryIO | None:
    """Return an empty note; None if there can be none."""
    try:
        if is_kept:
            path.replace(path.with_name(KEPT))
        stream = files.create(path)
        stream.write(header())
        stream.flush()
    except OSError as error:
        logger.warning("crashes are not noted: %s", describe(error))
        return None
    return stream


def is_own_fault(error: Exception) -> bool:
    """Whether an exception that ends the process may come of a picture, and not of the machine."""
    is_short = isinstance(error, MemoryError) or "can't start new thread" in str(error)
    return blame(error) is Blame.UNKNOWN and not is_short
