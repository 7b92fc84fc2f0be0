"""Clips that a client would wait for: they take longer than a request may."""

from pathlib import Path

from daemon.jobs import HotFolder
from daemon.renderings import ANIMATIONS
from daemon.worker.clips import kinds

#: A small animated picture is done in time on most machines.
SHORT_BYTES = 2_000_000


def takes_too_long(folder: HotFolder, path: Path, *, size: int) -> bool:
    """Whether a file that a client waits for is a clip, unless it is a small animated picture."""
    if folder.clips != "cut":
        return False
    kind = kinds.kind_of(path)
    return bool(kind) and (kind not in ANIMATIONS or size > SHORT_BYTES)
