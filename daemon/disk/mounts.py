"""The kernel's table of mounts."""

import re
from collections.abc import Iterator
from pathlib import Path

TABLE = Path("/proc/self/mountinfo")
ESCAPED = re.compile(r"\\([0-7]{3})")  # blanks, backslashes and # in the names of mounts


def read() -> str:
    """The table as it is now; bytes that are no text come as in paths."""
    # Not as text: that would end a line at a name's carriage return, which nobody escapes.
    return TABLE.read_bytes().decode("utf-8", "surrogateescape")


def points(table: str) -> Iterator[tuple[Path, str]]:
    """Where something is mounted and the type of its file system; what lies on top comes later."""
    for line in filter(None, table.split("\n")):
        before, _, after = line.partition(" - ")
        name = ESCAPED.sub(lambda match: chr(int(match[1], 8)), before.split(" ")[4])
        yield Path(name), after.split(" ")[0]
