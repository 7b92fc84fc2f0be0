"""What is in a folder: the truth, while events are only hints."""

import errno
import os
from collections.abc import Container, Iterator
from pathlib import Path

from daemon.disk import mounts
from daemon.watching.ignored_names import is_never_taken

#: File systems on which changes by other machines cause no inotify event here.
REMOTE_FILE_SYSTEMS = (
    *("nfs", "cifs", "smb", "ncpfs", "fuse", "9p", "virtiofs", "afs", "coda"),
    *("ceph", "glusterfs", "lustre", "beegfs", "gpfs", "orangefs", "gfs2", "ocfs2"),
    *("vboxsf", "vmhgfs", "prl_fs", "drvfs"),  # folders that a virtual machine's host shares
)
LOCAL_FUSE = frozenset({"fuseblk"})  # NTFS and exFAT disks: local, so events arrive
#: Errors of a sub-folder that is gone, unreadable or too deep: it is skipped until the next sweep.
SKIPPED_ERRNOS = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG}
)


def pictures(
    folder: Path, *, recursive: bool, skipped: Container[Path] = frozenset()
) -> Iterator[Path]:
    """Yield all regular files that may be pictures; follows no links, opens no pipes.

    ``skipped`` folders are not entered. A sub-folder that vanishes or cannot be read meanwhile is
    skipped; `OSError` means that the top folder itself cannot be read.
    """
    pending = [folder]  # a list instead of recursion: a tree may be deeper than Python's limit
    while pending:
        top = pending.pop()
        try:
            listing = entries(top)
        except OSError as error:
            if top == folder or error.errno not in SKIPPED_ERRNOS:
                raise
            continue
        yield from (Path(entry.path) for entry in listing if entry.is_file(follow_symlinks=False))
        if recursive:
            below = [Path(e.path) for e in listing if e.is_dir(follow_symlinks=False)]
            pending += [path for path in reversed(below) if path not in skipped]


def folders(top: Path, *, is_deep: bool, skipped: Container[Path] = frozenset()) -> Iterator[Path]:
    """Yield all folders that `pictures` looks into; skips unreadable ones in the same way."""
    pending = [top]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(folder) as found:
                below = [entry for entry in found if entry.is_dir(follow_symlinks=False)]
        except OSError as error:
            if folder == top or error.errno not in SKIPPED_ERRNOS:
                raise
            continue
        yield folder
        if is_deep:
            wanted = [Path(entry.path) for entry in below if not is_never_taken(entry.name)]
            pending += [path for path in wanted if path not in skipped]


def entries(folder: Path) -> "list[os.DirEntry[str]]":
    """Return the entries of a folder that are not ignored, by name; links are left out."""
    with os.scandir(folder) as found:
        wanted = [entry for entry in found if not is_never_taken(entry.name)]
    return sorted((e for e in wanted if not e.is_symlink()), key=lambda entry: entry.name)


def file_system(path: Path, table: str) -> str:
    """Return the type of a path's file system, from the text of ``/proc/self/mountinfo``."""
    best, kind = -1, "unknown"
    for point, mounted in mounts.points(table):
        # Of mounts on one point the last is on top.
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), mounted
    return kind


def is_remote(kind: str) -> bool:
    """Whether other machines can change files on this type of file system without an event here."""
    return kind not in LOCAL_FUSE and kind.startswith(REMOTE_FILE_SYSTEMS)
