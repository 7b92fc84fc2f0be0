"""Who may see what we make: our user and group, whatever the umask of the shell that started us."""

import os
from pathlib import Path
from typing import BinaryIO, Literal, TextIO

FILE = 0o640
FOLDER = 0o750


def create(path: Path, how: Literal["wb", "xb"] = "wb") -> BinaryIO:
    """Open a new file for bytes; one that is there keeps its own mode."""
    return open(path, how, opener=opened)  # Path.open takes no opener


def create_text(path: Path) -> TextIO:
    """The same for text; what cannot be encoded is escaped."""
    return open(  # as above
        path, "w", encoding="utf-8", errors="backslashreplace", opener=opened
    )


def opened(path: str, flags: int) -> int:
    """As `open` would, with our mode."""
    return os.open(path, flags, FILE)
