"""Names of uploaded files, from outside: only what may be a file's name of ours is kept."""

import os
from pathlib import PurePosixPath

from daemon.disk import files, uploads
from daemon.watching.ignored_names import CUT_VIDEO, OTHER_FILES, is_never_taken

NAMELESS = "picture"


def safe_name(given: str, *, takes_clips: bool = False) -> str:
    """Return a name for the disk: no path, no control characters, not hidden, not too long.

    A name that the daemon would leave alone, such as ``notes.txt``, is replaced: what a file is
    shows when it is decoded.
    """
    last = given.replace("\\", "/").rsplit("/", 1)[-1]
    text = last.encode("utf-8", "replace").decode("utf-8")
    text = "".join(letter if letter.isprintable() else "_" for letter in text).strip().lstrip(".")
    if len(os.fsencode(text)) > uploads.NAME_BYTES:
        text = shortened(text)
    suffix = PurePosixPath(text).suffix.lower()
    left = OTHER_FILES - CUT_VIDEO if takes_clips else OTHER_FILES
    if not text or is_never_taken(text) or suffix in left:
        return NAMELESS
    return text


def shortened(text: str) -> str:
    """Return a name that leaves room for versions; a suffix stays if it is one."""
    path = PurePosixPath(text)
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= files.VERSION_DIGITS else ""
    stem = os.fsencode(text.removesuffix(suffix))
    room = uploads.NAME_BYTES - len(os.fsencode(suffix))
    return stem[:room].decode("utf-8", "ignore") + suffix
