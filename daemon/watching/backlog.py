"""Pictures in hot folders that were not taken yet: how many, and how old the oldest is."""

from dataclasses import dataclass
from pathlib import Path

from daemon.jobs import Identity


@dataclass(frozen=True, slots=True)
class SeenVersion:
    """One version of a file, as it was last checked."""

    identity: Identity
    since: float
    """Since when the file has not changed, UTC seconds."""
    checked_at: float
    """When it was last checked, on the monotonic clock."""


class Backlog:
    """Files that were seen and not taken, by folder.

    Only reports use it; no decision depends on it.
    """

    def __init__(self) -> None:
        self.folders: dict[str, dict[Path, SeenVersion]] = {}

    def note(
        self, folder: str, path: Path, identity: Identity, *, monotonic: float, now: float
    ) -> None:
        """Note that a file is there. A changed file starts anew: it is still being written."""
        files = self.folders.setdefault(folder, {})
        known = files.get(path)
        if known is None:
            since = changed_at(path, now)
        else:
            since = known.since if known.identity == identity else now
        files[path] = SeenVersion(identity, since, monotonic)

    def forget(self, folder: str, path: Path) -> None:
        """Remove a file: it was taken, or there is nothing to take."""
        self.folders.get(folder, {}).pop(path, None)

    def forget_folder(self, folder: str) -> None:
        """Remove all files of a folder that is no longer served, or will be scanned anew."""
        self.folders.pop(folder, None)

    def end_sweep(self, folder: str, *, monotonic: float) -> None:
        """Forget the files that the sweep did not find: those not noted since its start."""
        files = self.folders.get(folder, {})
        self.folders[folder] = {
            path: seen for path, seen in files.items() if seen.checked_at >= monotonic
        }

    def count(self, folder: str) -> int:
        """Return how many files wait in a folder."""
        return len(self.folders.get(folder, {}))

    def oldest_at(self, folder: str) -> float | None:
        """Return since when the oldest file has not changed, UTC seconds; None without files."""
        return min((seen.since for seen in self.folders.get(folder, {}).values()), default=None)


def changed_at(path: Path, now: float) -> float:
    """Return when a file was put there or last changed, so that a restart resets no age."""
    try:
        return min(path.lstat().st_ctime, now)
    except OSError:
        return now  # gone again
