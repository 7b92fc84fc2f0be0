"""Which files are clips, by their content."""

import logging
import os
from pathlib import Path

from cvunet.pictures import signatures as pictures
from cvunet.video import signatures
from daemon.disk import files
from daemon.errors import describe, printable

logger = logging.getLogger(__name__)


def may_be_picture(path: Path) -> bool:
    """Whether a file begins as a picture does; False if it is empty, or cannot be read."""
    try:
        descriptor = files.open_if_regular(path, os.O_NONBLOCK)
        if descriptor is None:
            return False
        with os.fdopen(descriptor, "rb") as stream:
            head = stream.read(pictures.HEAD_BYTES)
    except OSError:
        return False
    return bool(head) and pictures.may_become_picture(head, tuple(pictures.SIGNATURES))


def kind_of(path: Path) -> str:
    """Return which kind of clip a file is: mp4, gif and so on.

    Empty for a picture, for anything else, and for what cannot be read now: a decode child says why
    when the file's turn comes.
    """
    try:
        descriptor = files.open_if_regular(path, os.O_NONBLOCK)
        if descriptor is None:
            return ""
        with os.fdopen(descriptor, "rb") as stream:
            if not signatures.may_be_clip(os.pread(descriptor, signatures.HEAD_BYTES, 0)):
                return ""
            return signatures.clip_kind(stream) or ""
    except OSError as error:
        logger.debug("%s: %s", printable(path), describe(error))
        return ""
    except Exception:  # the file of a stranger must not end the daemon
        logger.warning("%s cannot be told from a clip", printable(path), exc_info=True)
        return ""
