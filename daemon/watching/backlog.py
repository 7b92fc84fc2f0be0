"""Pictures in hot folders that were not taken yet: how many, and how old the oldest is."""

import heapq
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from daemon.jobs import Identity

#: So many files are looked at while their folder is not swept: the loop has other things to do.
MOST_LOOKS = 10_000


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
        self.by_age: dict[str, list[tuple[float, Path]]] = {}
        """By folder: a heap of since when each file has not changed; gone entries stay in it until
        they come first, or until the next sweep has ended. A report asks every second, and must
        not look at each of 20,000 files."""

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
        if known is None or known.since != since:
            heapq.heappush(self.by_age.setdefault(folder, []), (since, path))

    def forget(self, folder: str, path: Path) -> None:
        """Remove a file: it was taken, or there is nothing to take."""
        self.folders.get(folder, {}).pop(path, None)

    def forget_gone(self, folder: str) -> None:
        """Remove files that are gone, of a folder that is not swept now; a part of very many."""
        for path in [*islice(self.folders.get(folder, {}), MOST_LOOKS)]:
            try:
                path.lstat()
            except FileNotFoundError:
                self.forget(folder, path)
            except OSError:
                return  # the disk does not answer: all still count

    def forget_folder(self, folder: str) -> None:
        """Remove all files of a folder that is no longer served, or will be scanned anew."""
        self.folders.pop(folder, None)
        self.by_age.pop(folder, None)

    def end_sweep(self, folder: str, *, monotonic: float) -> None:
        """Forget the files that the sweep did not find: those not noted since its start."""
        files = self.folders.get(folder, {})
        self.folders[folder] = {
            path: seen for path, seen in files.items() if seen.checked_at >= monotonic
        }
        self.by_age[folder] = [(seen.since, path) for path, seen in self.folders[folder].items()]
        heapq.heapify(self.by_age[folder])

    def count(self, folder: str) -> int:
        """Return how many files wait in a folder."""
        return len(self.folders.get(folder, {}))

    def oldest_at(self, folder: str) -> float | None:
        """Return since when the oldest file has not changed, UTC seconds; None without files."""
        files, by_age = self.folders.get(folder, {}), self.by_age.get(folder, [])
        while by_age:
            since, path = by_age[0]
            seen = files.get(path)
            if seen is not None and seen.since == since:
                return since
            heapq.heappop(by_age)
        return None


def changed_at(path: Path, now: float) -> float:
    """Return when a file was put there or last changed, so that a restart resets no age."""
    try:
        return min(path.lstat().st_ctime, now)
    except OSError:
        return now  # gone again
