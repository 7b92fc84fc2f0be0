"""What output folders (drops) are called, and how we know one of ours again."""

import os
import re
from datetime import datetime

from daemon.disk import deletion
from daemon.portable_names import portable

MARKER = ".cvunetd-drop"
TEXT = b"This folder was made by cvunetd, which deletes it in time.\n"
#: Before the name in the mark; earlier versions did not write it.
NAMED = b"name: "
#: All drops of earlier versions are called so.
OLD_NAME = re.compile(r"outputs_(\d{14})(?:_\d+)?")
#: Every drop's name holds its time.
STAMP = re.compile(r"\d{14}")
FIELDS = ("time", "folder")
#: The longest name, so that there is room for a number.
MAX_BYTES = 200
MARK_BYTES = 4096


def drop_name(template: str, *, time: str, folder: str) -> str:
    """Return a drop's name, as SMB and macOS accept it; ``time``: 14 digits, local."""
    return portable(template.format(time=time, folder=folder).replace("/", "_"))


def stamp(local_time: datetime) -> str:
    """Return the 14 digits of a time: YYYYMMDDHHMMSS."""
    return f"{local_time:%Y%m%d%H%M%S}"


def pattern(template: str, *, folder: str) -> re.Pattern[str]:
    """Return what the names of one hot folder's drops match."""
    time = "0" * 14
    name = re.escape(drop_name(template, time=time, folder=folder))
    return re.compile(name.replace(time, r"\d{14}") + r"(?:_\d+)?")


def mark(name: str) -> bytes:
    """Return the content of the mark in a drop."""
    return TEXT + NAMED + os.fsencode(name) + b"\n"


def is_marked(name: str, drop: int) -> bool:
    """Whether an open folder holds our mark for this name: a renamed or copied drop is not ours."""
    try:
        content = deletion.read(MARKER, drop, limit_bytes=MARK_BYTES)
    except (OSError, ValueError):
        return False
    if NAMED not in content:
        return OLD_NAME.fullmatch(name) is not None
    return content == mark(name)
