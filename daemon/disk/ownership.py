"""Whose a folder or file is: servers may map our user to another one."""

import os
from contextlib import suppress

PROBE = ".cvunetd-owner"
TRIES = 100


def is_ours(user: int, folder: int) -> bool:
    """Whether what is in an open folder belongs to us, by the number of its user.

    `OSError` if that cannot be found out, as on a full disk.
    """
    try:
        return user == os.geteuid() or user == owner_of_new_file(folder)
    except PermissionError:
        return False  # a folder of ours lets us make files in it


def owner_of_new_file(descriptor: int) -> int:
    """Return whose a file is that we make in a folder.

    Threads do this at the same time, and a process that was killed leaves its file: one that is
    there already is removed. It says nothing, because anybody may have made it.
    """
    made = new_file(descriptor)
    try:
        return os.fstat(made).st_uid
    finally:
        os.close(made)
        with suppress(FileNotFoundError):
            os.unlink(PROBE, dir_fd=descriptor)


def new_file(descriptor: int) -> int:
    """Return a descriptor of a file that was not there; `FileExistsError` if others win always."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    for _ in range(TRIES):
        with suppress(FileExistsError):
            return os.open(PROBE, flags, 0o600, dir_fd=descriptor)
        with suppress(FileNotFoundError):
            os.unlink(PROBE, dir_fd=descriptor)
    return os.open(PROBE, flags, 0o600, dir_fd=descriptor)
