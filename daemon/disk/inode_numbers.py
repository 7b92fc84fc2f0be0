"""Whether files keep their inode numbers, by which we know them again."""

import os
from functools import lru_cache

from daemon.disk import mounts

#: Linux makes numbers up for files of these each time that it reads them anew: after each mount,
#: and when it was short of memory. FAT and exFAT have none on the disk (`iunique` in fs/inode.c).
MADE_UP = frozenset({"vfat", "msdos", "exfat", "cifs", "smb3"})
FUSE = "fuse"


def are_lasting(device: int) -> bool:
    """Return whether a device (``st_dev``) numbers a file in the same way tomorrow.

    True if the kernel does not tell its kind, as of subvolumes of btrfs.
    """
    try:
        kind = kind_of(device)
    except (OSError, LookupError):  # asked again: it may just have been unmounted
        return True
    return kind not in MADE_UP and not kind.startswith(FUSE)


@lru_cache(maxsize=64)
def kind_of(device: int) -> str:
    """Return the type of a device's file system; `LookupError` if it is not mounted."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for number, kind in mounts.devices(mounts.read()):
        if number == wanted:
            return kind
    raise LookupError(wanted)
