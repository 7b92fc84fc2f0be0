"""What lies in hot folders: what waits to be taken, what cannot be, and what is left there."""

from collections.abc import Callable
from pathlib import Path

from daemon.jobs import Identity
from daemon.watching.backlog import Backlog
from daemon.watching.left_files import LeftFiles
from daemon.watching.refusals import RefusedFiles
from daemon.watching.renames import Renames

ReadIdentity = Callable[[Path], Identity | None]


class Inventory:
    """Counts each file once, also if it is renamed."""

    def __init__(self, read_identity: ReadIdentity) -> None:
        """``read_identity`` gives a file's identity; None if it is gone or no regular file."""
        self.read_identity = read_identity
        self.backlog = Backlog()
        self.left = LeftFiles()
        self.refused = RefusedFiles()
        self.renames = Renames()

    def note_name(self, folder: str, path: Path, identity: Identity) -> None:
        """Note the name of a file; a former name that is gone is forgotten."""
        former = self.renames.note(folder, path, identity)
        if former is not None and self.read_identity(former) is None:
            self.forget(folder, former)

    def forget(self, folder: str, path: Path) -> None:
        """Forget a name that is gone."""
        self.backlog.forget(folder, path)
        self.left.forget(folder, path)
        self.refused.forget(folder, path)

    def note_taken(self, folder: str, path: Path) -> None:
        """Note that a file waits no longer: it was taken, or there is nothing to take."""
        self.backlog.forget(folder, path)
        self.refused.forget(folder, path)

    def end_sweep(self, folder: str, *, monotonic: float) -> None:
        """Forget the files that the sweep, which began at this time, did not find."""
        self.backlog.end_sweep(folder, monotonic=monotonic)
        self.left.end_sweep(folder, monotonic=monotonic)
        self.refused.keep_only(folder, self.backlog.folders.get(folder, {}))
        counted = (self.backlog.folders, self.left.folders)
        self.renames.end_sweep(folder, {path for one in counted for path in one.get(folder, ())})

    def forget_folder(self, folder: str) -> None:
        """Forget a folder that is removed, or has other settings."""
        for part in (self.backlog, self.left, self.refused, self.renames):
            part.forget_folder(folder)
