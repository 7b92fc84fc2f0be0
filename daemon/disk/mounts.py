"""The kernel's table of mounts."""

import re
from collections.abc import Iterator
from pathlib import Path

TABLE = Path("/proc/self/mountinfo")
ESCAPED = re.compile(r"\\([0-7]{3})")  # blanks, backslashes and # in the names of mounts


def read() -> str:
    """Return the table as it is now; bytes that are no text are decoded as in paths."""
    # Not in text mode: that would split a line at a carriage return in a name, which the kernel
    # does not escape.
    return TABLE.read_bytes().decode("utf-8", "surrogateescape")


def points(table: str) -> Iterator[tuple[Path, str]]:
    """Yield mount points and the types of their file systems; the top one of a point comes last."""
    for name, kind in names(table):
        yield Path(name), kind


def names(table: str) -> Iterator[tuple[str, str]]:
    """Yield the same with the points as the kernel writes them: without a slash at the end."""
    for row, kind in rows(table):
        yield ESCAPED.sub(lambda match: chr(int(match[1], 8)), row[4]), kind


def devices(table: str) -> Iterator[tuple[str, str]]:
    """Yield devices as ``major:minor``, and the types of their file systems."""
    for row, kind in rows(table):
        yield row[2], kind


def rows(table: str) -> Iterator[tuple[list[str], str]]:
    """Yield the columns of each mount up to its options, and the type of its file system."""
    for line in filter(None, table.split("\n")):
        before, _, after = line.partition(" - ")
        yield before.split(" "), after.split(" ")[0]


def device_of(descriptor: int) -> tuple[int, int] | None:
    """Return the device of an open file's mount, as major and minor; None if it is not told.

    `os.stat` tells another one on btrfs (of the subvolume) and on overlay (of a layer).
    """
    try:
        facts = Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="ascii")
        mount = next(line.split()[1] for line in facts.splitlines() if line.startswith("mnt_id:"))
        table = read()
    except (OSError, StopIteration):
        return None
    for row, _ in rows(table):
        if row[0] == mount:
            major, _, minor = row[2].partition(":")
            return int(major), int(minor)
    return None
