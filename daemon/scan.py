"""What lies in a folder: the truth that events only hint at."""

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

#: Names that other programs use for what is not, or not yet, a picture. Compared in lower case.
IGNORED_NAMES = (
    ".*",
    "*~",
    "~$*",
    "*.part",
    "*.partial",
    "*.crdownload",
    "*.tmp",
    "*.temp",
    "*.download",
    "*.filepart",
    "*.!ut",
    "*.!qb",
    "*.tacitpart",
    "*.swp",
    "*.lock",
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "@eadir",
    "#recycle",
    "$recycle.bin",
    "lost+found",
    "__macosx",
)
#: File systems whose changes made elsewhere reach no inotify watch.
SILENT_FILE_SYSTEMS = ("nfs", "cifs", "smb", "fuse", "9p", "virtiofs", "afs", "ceph", "glusterfs")
LOCAL_FUSE = frozenset({"fuseblk"})  # NTFS and exFAT disks: local, events arrive
MOUNTS = Path("/proc/self/mountinfo")


def is_ignored(name: str) -> bool:
    """A hidden, temporary or desktop-litter name."""
    lower = name.lower()
    return any(fnmatchcase(lower, pattern) for pattern in IGNORED_NAMES)


def has_ignored_part(relative: Path) -> bool:
    """Some part of a path below a hot folder is ignored."""
    return any(is_ignored(part) for part in relative.parts)


def pictures(
    folder: Path, *, recursive: bool, skipped: frozenset[Path] = frozenset()
) -> Iterator[Path]:
    """All regular files that may be pictures; links are not followed, pipes not opened.

    ``skipped`` folders are not entered. A sub-folder that vanishes or may not be read while we
    look is passed over; `OSError` tells that the top folder itself cannot be read.
    """
    with os.scandir(folder) as entries:
        listing = sorted(entries, key=lambda entry: entry.name)
    for entry in listing:
        if is_ignored(entry.name) or entry.is_symlink():
            continue
        if entry.is_file(follow_symlinks=False):
            yield Path(entry.path)
        elif recursive and entry.is_dir(follow_symlinks=False) and Path(entry.path) not in skipped:
            try:
                yield from pictures(Path(entry.path), recursive=True, skipped=skipped)
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                continue  # gone or closed to us by now; the next sweep looks again


def file_system(path: Path, mounts: str) -> str:
    """The type of the file system that holds a path, from the text of ``/proc/self/mountinfo``."""
    best, kind = -1, "unknown"
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(before.split()[4].encode().decode("unicode_escape"))
        # Of mounts on one point the last is on top.
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), after.split()[0]
    return kind


def is_silent(kind: str) -> bool:
    """Events of other machines' changes do not arrive on this type of file system."""
    return kind not in LOCAL_FUSE and kind.startswith(SILENT_FILE_SYSTEMS)
