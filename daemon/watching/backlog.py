"""Pictures that lie in hot folders and are not ours yet: how many, and since when."""

from dataclasses import dataclass
from pathlib import Path

from daemon.jobs import Identity


@dataclass(frozen=True, slots=True)
class SeenVersion:
    """One version of a file, as it was last looked at."""

    identity: Identity
    since: float
    """UTC seconds."""
    checked_at: float
    """On the monotonic clock."""


class Backlog:
    """What was seen and not taken, by folder: told to operators, nothing is decided by it."""

    def __init__(self) -> None:
        self.folders: dict[str, dict[Path, SeenVersion]] = {}

    def note(
        self, folder: str, path: Path, identity: Identity, *, monotonic: float, now: float
    ) -> None:
        """A file is there. One that changes begins anew: it is still being written."""
        files = self.folders.setdefault(folder, {})
        known = files.get(path)
        if known is None:
            since = changed_at(path, now)
        else:
            since = known.since if known.identity == identity else now
        files[path] = SeenVersion(identity, since, monotonic)

    def forget(self, folder: str, path: Path) -> None:
        """It has been taken, or there is nothing to take."""
        self.folders.get(folder, {}).pop(path, None)

    def forget_folder(self, folder: str) -> None:
        """It goes, or is looked at anew."""
        self.folders.pop(folder, None)

    def end_sweep(self, folder: str, *, monotonic: float) -> None:
        """All that is there was noted at this moment or later: forget the rest."""
        files = self.folders.get(folder, {})
        self.folders[folder] = {
            path: seen for path, seen in files.items() if seen.checked_at >= monotonic
        }

    def count(self, folder: str) -> int:
        """How many lie in a folder."""
        return len(self.folders.get(folder, {}))

    def oldest_at(self, folder: str) -> float | None:
        """Since when the oldest has lain there unchanged, UTC seconds; None if nothing does."""
        return min((seen.since for seen in self.folders.get(folder, {}).values()), default=None)


def changed_at(path: Path, now: float) -> float:
    """When a file was put where it is or last changed, so that a restart makes nothing younger."""
    try:
        return min(path.lstat().st_ctime, now)
    except OSError:
        return now  # gone again
