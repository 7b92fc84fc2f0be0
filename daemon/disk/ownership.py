"""Whose a folder or file is: servers may map our user to another one."""

import os

PROBE = ".cvunetd-owner"


def is_ours(user: int, folder: int) -> bool:
    """What is in an open folder belongs to us, by the number of its user."""
    return user == os.geteuid() or user == owner_of_new_file(folder)


def owner_of_new_file(descriptor: int) -> int:
    """Whose a file is that we make in a folder; ourselves where none can be made."""
    try:
        made = os.open(
            PROBE, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=descriptor
        )
    except OSError:
        return os.geteuid()
    try:
        return os.fstat(made).st_uid
    finally:
        os.close(made)
        os.unlink(PROBE, dir_fd=descriptor)
