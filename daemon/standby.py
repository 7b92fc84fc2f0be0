"""Folders that wait until a machine's trouble has passed, and why."""

import logging

from daemon import store
from daemon.errors import MachineError, describe
from daemon.jobs import HotFolder

logger = logging.getLogger(__name__)

RECHECK_S = 10.0
MEGABYTE = 1024 * 1024


class Standby:
    """Which folders rest. Entering and leaving is told once each."""

    def __init__(self, *, min_free_mb: float) -> None:
        self.min_free_mb = min_free_mb
        self.reasons: dict[str, str] = {}
        self.next_check = 0.0

    def enter(self, folder: HotFolder, reason: str) -> None:
        """Rest; nothing of this folder is taken in or started until a check succeeds."""
        if folder.name not in self.reasons:
            logger.error("folder %s stands by: %s; it resumes by itself", folder.name, reason)
        self.reasons[folder.name] = reason

    def has(self, name: str) -> bool:
        """The folder rests."""
        return name in self.reasons

    def check(self, folders: list[HotFolder], *, monotonic: float) -> list[HotFolder]:
        """Look at all folders from time to time: rest where there is trouble, resume where not.

        Gives the folders that have just resumed.
        """
        if monotonic < self.next_check:
            return []
        self.next_check = monotonic + RECHECK_S
        resumed = []
        for folder in folders:
            trouble = self.trouble(folder)
            if trouble:
                self.enter(folder, trouble)
            elif self.reasons.pop(folder.name, None) is not None:
                logger.warning("folder %s resumes", folder.name)
                resumed.append(folder)
        return resumed

    def trouble(self, folder: HotFolder) -> str:
        """What keeps a folder from working; empty if nothing does."""
        try:
            if not folder.path.is_dir():
                return f"{folder.path} is not there (deleted, renamed or not mounted)"
            free_mb = store.free_bytes(folder.output_root) / MEGABYTE
            if free_mb < self.min_free_mb:
                return (
                    f"{folder.output_root} has {free_mb:.0f} MB free and needs"
                    f" {self.min_free_mb:.0f} (retention.min_free_mb): make room"
                )
            # Writing a probe costs little, but a healthy folder proves itself by its results.
            if folder.name in self.reasons:
                store.check_writable(folder.output_root)
        except (OSError, MachineError) as error:
            return describe(error)
        return ""
