"""Files in hot folders that are left where they are: they are no pictures by their name."""

import logging
from pathlib import Path

from daemon.errors import printable
from daemon.jobs import HotFolder
from daemon.watching.ignored_names import why_left

logger = logging.getLogger(__name__)


class LeftFiles:
    """Names each such file once in the log, and counts them for reports."""

    def __init__(self) -> None:
        self.folders: dict[str, dict[Path, float]] = {}
        """By folder and path: when it was last seen, on the monotonic clock."""

    def leaves(self, folder: HotFolder, path: Path, *, monotonic: float) -> bool:
        """Whether a file, which exists, is left alone; then it is noted."""
        reason = why_left(path, folder)
        if not reason:
            return False
        known = self.folders.setdefault(folder.name, {})
        if path not in known:
            fields = {"HOT_FOLDER": folder.name, "SOURCE": printable(path)}
            logger.info("ignored %s: %s", printable(path), reason, extra=fields)
        known[path] = monotonic
        return True

    def end_sweep(self, folder: str, *, monotonic: float) -> None:
        """Forget the files that the sweep did not find: those not seen since its start."""
        known = self.folders.get(folder, {})
        self.folders[folder] = {path: seen for path, seen in known.items() if seen >= monotonic}

    def forget(self, folder: str, path: Path) -> None:
        """Forget a file that has another name by now."""
        self.folders.get(folder, {}).pop(path, None)

    def forget_folder(self, folder: str) -> None:
        """Forget a folder that is removed, or has other settings."""
        self.folders.pop(folder, None)

    def count(self, folder: str) -> int:
        """Return how many files of a folder are left alone."""
        return len(self.folders.get(folder, {}))
