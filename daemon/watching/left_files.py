"""Files in hot folders that are left where they are: by their name, or because they are clips."""

import logging
from pathlib import Path

from daemon.errors import printable
from daemon.jobs import HotFolder, Identity
from daemon.watching.ignored_names import why_left

logger = logging.getLogger(__name__)

CLIP = "it is a clip, and folders[].video is ignore"


class LeftFiles:
    """Names each such file once in the log, and counts them for reports."""

    def __init__(self) -> None:
        self.folders: dict[str, dict[Path, float]] = {}
        """By folder and path: when it was last seen, on the monotonic clock."""
        self.clips: dict[Path, Identity] = {}
        """Files that are left for their content, by the version that was looked at."""

    def leaves(
        self, folder: HotFolder, path: Path, identity: Identity, *, monotonic: float
    ) -> bool:
        """Whether a file, which exists, is left alone; then it is noted."""
        reason = why_left(path, folder)
        if not reason and self.clips.get(path) == identity:
            reason = CLIP
        if reason:
            self.note(folder, path, reason, monotonic=monotonic)
        return bool(reason)

    def leave_clip(
        self, folder: HotFolder, path: Path, identity: Identity, *, monotonic: float
    ) -> None:
        """Leave a file that is a clip by its content, until it changes."""
        self.clips[path] = identity
        self.note(folder, path, CLIP, monotonic=monotonic)

    def note(self, folder: HotFolder, path: Path, reason: str, *, monotonic: float) -> None:
        """Tell it once in the log, and count it."""
        known = self.folders.setdefault(folder.name, {})
        if path not in known:
            fields = {"HOT_FOLDER": folder.name, "SOURCE": printable(path)}
            logger.info("ignored %s: %s", printable(path), reason, extra=fields)
        known[path] = monotonic

    def end_sweep(self, folder: str, *, monotonic: float) -> None:
        """Forget the files that the sweep did not find: those not seen since its start."""
        known = self.folders.get(folder, {})
        self.folders[folder] = {path: seen for path, seen in known.items() if seen >= monotonic}
        for path in known.keys() - self.folders[folder].keys():
            self.clips.pop(path, None)

    def forget(self, folder: str, path: Path) -> None:
        """Forget a file that has another name by now."""
        self.folders.get(folder, {}).pop(path, None)
        self.clips.pop(path, None)

    def forget_folder(self, folder: str) -> None:
        """Forget a folder that is removed, or has other settings."""
        for path in self.folders.pop(folder, {}):
            self.clips.pop(path, None)

    def count(self, folder: str) -> int:
        """Return how many files of a folder are left alone."""
        return len(self.folders.get(folder, {}))
