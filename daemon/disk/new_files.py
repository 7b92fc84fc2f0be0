"""Making a file that nobody else has made: by its name alone a file is not known to be ours."""

import os
from contextlib import suppress

#: Threads may make a file of one name at the same time.
TRIES = 100
OURS_ALONE = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def open_new(folder: int, name: str, flags: int, *, mode: int) -> int:
    """Make a file in an open folder, and return its descriptor; what has its name is removed.

    That may be what a process that was killed has left. It may be somebody else's pipe, whose
    opening waits, or a file that he has open. `FileExistsError` if others win always.
    """
    for _ in range(TRIES):
        with suppress(FileExistsError):
            return os.open(name, flags | OURS_ALONE, mode, dir_fd=folder)
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
    return os.open(name, flags | OURS_ALONE, mode, dir_fd=folder)
