"""Whose a folder or file is: servers may map our user to another one."""

import os
from contextlib import suppress

from daemon.disk.new_files import open_new

PROBE = ".cvunetd-owner"


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
    made = open_new(descriptor, PROBE, os.O_WRONLY, mode=0o600)
    try:
        return os.fstat(made).st_uid
    finally:
        os.close(made)
        with suppress(FileNotFoundError):
            os.unlink(PROBE, dir_fd=descriptor)
