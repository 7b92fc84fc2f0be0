"""Clips that results are put on: each job opens them anew, and its child reads them.

Such a clip is named in the configuration, so it is trusted as far as a background picture is: its
first frame is decoded in this process.
"""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from cvunet import errors as cvunet_errors
from cvunet.matte import foreground
from cvunet.video import av_library, reading
from cvunet.video.clips import ANY_LENGTH
from daemon.disk import files
from daemon.errors import InstallError, MachineError, explain
from daemon.jobs import Identity, Stamp
from daemon.renderings import ANIMATIONS
from daemon.worker.clips import kinds

MEND = "correct output.background"


@dataclass(frozen=True, slots=True)
class OpenBackground:
    """A clip that is open for one job."""

    path: Path
    stream: BinaryIO
    stamp: Stamp
    """Of the version that is open."""

    def check(self) -> None:
        """Raise `MachineError` if somebody has written to the file since it was opened.

        One that was replaced or deleted stays readable as it was.
        """
        if stamp_of(self.stream) != self.stamp:
            raise MachineError(
                f"background {self.path} was changed while a clip was put on it: that clip begins"
                " anew"
            )


def is_clip(path: Path) -> bool:
    """Whether a background moves. Without PyAV an animated picture is one of its first frame."""
    kind = kinds.kind_of(path)
    return bool(kind) and (kind not in ANIMATIONS or av_library.is_installed())


@contextmanager
def opened(path: Path | None) -> Iterator[OpenBackground | None]:
    """Open a background for one job; None if there is none. `MachineError` if it is not there."""
    if path is None:
        yield None
        return
    try:
        stream = open_file(path)
    except OSError as error:
        raise unusable(path, explain(error)) from error
    with stream:
        yield OpenBackground(path, stream, stamp_of(stream))


def open_file(path: Path) -> BinaryIO:
    """Open a background for reading; `OSError` also for what is no file, such as a pipe."""
    descriptor = files.open_if_regular(path)
    if descriptor is None:
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return os.fdopen(descriptor, "rb")


def stamp_of(stream: BinaryIO) -> Stamp:
    """Return the version of an open file."""
    identity = Identity.of(os.fstat(stream.fileno()))
    assert identity is not None  # only regular files are opened
    return identity.stamp


def unusable(path: Path, reason: str) -> MachineError:
    """Return the error of a background that cannot be read now: the clip is not to blame."""
    return MachineError(f"background {path} cannot be read: {reason}; put it back, or {MEND}")


def first_frame(path: Path) -> tuple[NDArray[np.uint8], str]:
    """Return the first frame HxWx3 and its SHA-256: what pictures are put on.

    `InstallError` if the clip cannot be used.
    """
    try:
        with open_file(path) as stream:
            frame = next(reading.open_clip(stream, limits=ANY_LENGTH).frames())
    except cvunet_errors.VideoMissing as error:
        raise InstallError(
            f"background {path} is a clip, and PyAV is not installed: install"
            f" cvunet-daemon[video], or {MEND}"
        ) from error
    except (cvunet_errors.ImageError, OSError) as error:
        reason = explain(error) if isinstance(error, OSError) else str(error)
        raise InstallError(f"background {path} cannot be read: {reason}; {MEND}") from error
    pixels = foreground.on_white(frame.rgb, frame.alpha)
    digest = hashlib.sha256(str(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes())
    return pixels, digest.hexdigest()
