"""What a worker notes on its node if it crashes by itself, and what is found there afterwards.

Ray tells of each end of a process in the same words: of `kill -9`, of the kernel without memory, of
a crash. So each worker has a note of its own, in which Python's `faulthandler` writes.
"""

import faulthandler
import fcntl
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from daemon.disk import crash_notes, files
from daemon.errors import describe

logger = logging.getLogger(__name__)

PREFIX = "crash-"
#: A note that nobody has asked for, and whose process is gone, is deleted after so long.
KEPT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Found:
    """What a node says of a worker that is lost: it answers at least."""

    crash: str
    """Why its process has crashed by itself; empty if it was ended from outside, or lives."""


def node_folder() -> Path:
    """Return where this node keeps what is its own: it does not have our state.

    `UntrustedPath` if another user has made it: exported models are read there.
    """
    place = Path(tempfile.gettempdir()) / f"cvunetd-{os.geteuid()}"
    files.make_private_folder(place)
    return place


def note_crashes(name: str) -> BinaryIO | None:
    """Have crashes of this process noted from here on; the open note, None if there is none.

    ``name``: no other worker of any daemon has it. Ray has a handler, too, which is called next.
    """
    try:
        folder = node_folder()
        for unused in unused_notes(folder, now=time.time()):
            files.remove(unused)
        stream = files.create(folder / f"{PREFIX}{name}")
        fcntl.flock(stream, fcntl.LOCK_EX)  # until the process ends, however it does
        stream.write(crash_notes.header())
        stream.flush()
    except OSError as error:
        logger.warning("crashes are not noted: %s", describe(error))
        return None
    faulthandler.disable()  # Ray's, which tells no more than one thread
    faulthandler.enable(stream)
    return stream


def unused_notes(folder: Path, *, now: float) -> Iterator[Path]:
    """Yield old notes of processes that are gone."""
    for note in folder.glob(f"{PREFIX}*"):
        with suppress(OSError), note.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(stream.fileno()).st_mtime < now - KEPT_S:
                yield note


def find(name: str) -> Found:
    """On a node: return what a worker has noted there, and forget it."""
    try:
        note = node_folder() / f"{PREFIX}{name}"
    except OSError as error:
        logger.warning("notes of crashes cannot be read: %s", describe(error))
        return Found("")
    found = Found(crash_notes.read(note))
    with suppress(OSError):
        files.remove(note)
    return found
