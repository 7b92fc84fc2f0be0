"""What is in a folder: the truth, while events are only hints."""

import os
from collections.abc import Callable, Container, Iterator
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

OnClosed = Callable[[Path, OSError], object]


def in_silence(folder: Path, error: OSError) -> None:
    """Nobody wants to hear of a sub-folder that cannot be looked into."""


def pictures(
    folder: Path,
    *,
    recursive: bool,
    skipped: Container[Path] = frozenset(),
    on_closed: OnClosed = in_silence,
) -> Iterator[Path]:
    """Yield all regular files that may be pictures; follows no links, opens no pipes.

    ``skipped`` folders are not entered. A sub-folder that cannot be read is skipped, and
    ``on_closed`` is told; `OSError` means that the top folder itself cannot be read.
    """
    pending = [folder]  # a list instead of recursion: a tree may be deeper than Python's limit
    while pending:
        top = pending.pop()
        try:
            listing = entries(top)
        except OSError as error:
            if top == folder:
                raise
            on_closed(top, error)
            continue
        yield from (Path(entry.path) for entry in listing if is_file(entry))
        if recursive:
            below = [Path(entry.path) for entry in listing if is_folder(entry)]
            pending += [path for path in reversed(below) if path not in skipped]


def folders(top: Path, *, is_deep: bool, skipped: Container[Path] = frozenset()) -> Iterator[Path]:
    """Yield all folders that `pictures` looks into; skips unreadable ones in the same way."""
    pending = [top]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(folder) as found:
                below = [entry for entry in found if is_folder(entry)]
        except OSError:
            if folder == top:
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


def is_file(entry: "os.DirEntry[str]") -> bool:
    """A regular file; where the listing does not tell, it is asked, which may fail."""
    try:
        return entry.is_file(follow_symlinks=False)
    except OSError:
        return False  # the next sweep asks again


def is_folder(entry: "os.DirEntry[str]") -> bool:
    """A folder and no link to one; likewise."""
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def file_system(path: Path, table: str) -> str:
    """Return the type of a path's file system, from the text of ``/proc/self/mountinfo``."""
    best, kind, text = -1, "unknown", f"{path}/"
    for point, mounted in mounts.names(table):
        above = point.rstrip("/") + "/"
        # Of points above one path the longest is the nearest; of mounts on one the last is on top.
        if text.startswith(above) and len(above) >= best:
            best, kind = len(above), mounted
    return kind


def is_remote(kind: str) -> bool:
    """Whether other machines can change files on this type of file system without an event here."""
    return kind not in LOCAL_FUSE and kind.startswith(REMOTE_FILE_SYSTEMS)
