"""Under which path each file was last seen, so that a renamed one does not count twice."""

from collections.abc import Container
from pathlib import Path

from daemon.jobs import Identity

Inode = tuple[int, int]


class Renames:
    """Knows files by device and inode, which a rename does not change."""

    def __init__(self) -> None:
        self.folders: dict[str, dict[Inode, Path]] = {}

    def note(self, folder: str, path: Path, identity: Identity) -> Path | None:
        """Note where a file is; return its former path if that is another one.

        Both may exist: a file can have several names.
        """
        paths, inode = self.folders.setdefault(folder, {}), (identity.device, identity.inode)
        former, paths[inode] = paths.get(inode), path
        return None if former == path else former

    def end_sweep(self, folder: str, known: Container[Path]) -> None:
        """Forget the files whose paths are not known any more."""
        paths = self.folders.get(folder, {})
        self.folders[folder] = {inode: path for inode, path in paths.items() if path in known}

    def forget_folder(self, folder: str) -> None:
        """Forget a folder that is removed, or has other settings."""
        self.folders.pop(folder, None)
