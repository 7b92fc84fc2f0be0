"""How each hot folder is observed: by events or, if they do not arrive, by polling; and why."""

import errno
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import inf
from typing import TYPE_CHECKING

from daemon.disk import files, mounts
from daemon.errors import explain, printable
from daemon.jobs import HotFolder
from daemon.watching import inotify_limits as limits
from daemon.watching import scan
from daemon.watching.canary import Canary

if TYPE_CHECKING:  # commands that only ask why a folder is polled need no watchdog
    from daemon.watching.watch import Watcher

logger = logging.getLogger(__name__)

POLL_S = 5.0  # how often a polled folder is swept
CHECK_S = 5.0
#: Setting the watches of a large tree takes time, and leaves other programs none meanwhile.
RETRY_S = 300.0
#: So many pictures without an event are no accident; nor are so many events without such a picture.
MIN_EVIDENCE = 10


@dataclass(frozen=True, slots=True)
class PolledFolder:
    """Why a folder is polled, and when a watch is tried again."""

    reason: str
    retry_at: float
    """On the monotonic clock."""
    limits: tuple[int, ...] = field(default_factory=limits.current_values)
    """The kernel's limits at that time: as soon as they differ, a watch is tried again."""


class WatchHealth:
    """Decides for each folder whether its events are relied on."""

    def __init__(self, watcher: "Watcher | None") -> None:
        """``watcher`` is None where folders are only swept: `once` and `batch`."""
        self.watcher = watcher
        self.canary = Canary()
        self.polled: dict[str, PolledFolder] = {}
        self.untrusted: set[str] = set()
        """Polled folders whose watch works, but does not report the files of other machines."""
        self.last_totals: dict[str, tuple[int, int]] = {}
        """By folder: totals of hinted and missed pictures at the last comparison."""
        self.proven: set[str] = set()
        """Folders that had an event, or got a new watch, just before the next comparison."""
        self.with_lost_events: set[str] = set()
        """Folders whose next sweep may find what lost events did not report."""
        self.next_check = 0.0

    def start(self) -> None:
        """Start the watcher; folders get their watches in `update_watch`."""
        if self.watcher is not None:
            self.watcher.start()

    def forget(self, folder: HotFolder) -> None:
        """Forget a folder that is removed or has other settings; the next sweep starts anew."""
        if self.watcher is not None:
            self.watcher.remove(folder)
        self.canary.forget(folder.name)
        self.polled.pop(folder.name, None)
        self.last_totals.pop(folder.name, None)
        self.untrusted.discard(folder.name)
        self.proven.discard(folder.name)
        self.with_lost_events.discard(folder.name)

    def stop(self) -> None:
        """End all watches."""
        if self.watcher is not None:
            self.watcher.stop()

    @property
    def reasons(self) -> dict[str, str]:
        """Return why folders are polled, by name."""
        return {name: polled.reason for name, polled in self.polled.items()}

    def is_polled(self, folder: HotFolder) -> bool:
        """Whether events of this folder are not relied on."""
        return folder.name in self.polled

    # --- at each sweep ----------------------------------------------------------------------

    def update_watch(self, folder: HotFolder, *, monotonic: float) -> None:
        """Set or renew a folder's watch; `OSError` means that the folder itself has a problem."""
        if self.watcher is None:
            return
        reason = why_polled(folder)
        if reason:
            self.watcher.remove(folder)
            self.canary.forget(folder.name)
            self.start_polling(folder, PolledFolder(reason, monotonic), level=logging.INFO)
        elif self.should_watch(folder, monotonic=monotonic):
            self.ensure_watched(folder, self.watcher, monotonic=monotonic)

    def should_watch(self, folder: HotFolder, *, monotonic: float) -> bool:
        """Whether a folder is watched, or a watch is due again: by time or by changed limits."""
        polled = self.polled.get(folder.name)
        if polled is None or folder.name in self.untrusted or monotonic >= polled.retry_at:
            return True
        return polled.limits != limits.current_values()

    def ensure_watched(self, folder: HotFolder, watcher: "Watcher", *, monotonic: float) -> None:
        """Make sure that a folder has all its watches, then let the canary prove them."""
        try:
            if watcher.is_broken(folder):
                self.renew_watch(folder, watcher)
            missing = watcher.unwatched_folders(folder)
            if missing:  # a folder may have been added or made readable meanwhile
                self.renew_watch(folder, watcher)
                missing &= watcher.unwatched_folders(folder)
            if missing:
                raise OSError(errno.ENOSPC, f"{len(missing)} folders in it got no inotify watch")
        except OSError as error:
            if not files.is_folder(folder.path):
                raise
            self.stop_watching(folder, watcher, error, monotonic=monotonic)
            return
        if self.canary.touch(folder, monotonic=monotonic):
            self.try_later(folder, monotonic=monotonic)
        elif folder.name not in self.untrusted:
            self.trust_events(folder.name)

    def try_later(self, folder: HotFolder, *, monotonic: float) -> None:
        """Postpone the next new watch: this one is on trial until the canary's event comes."""
        polled = self.polled.get(folder.name)
        if polled is not None:
            retry_at = monotonic + RETRY_S
            self.polled[folder.name] = replace(
                polled, retry_at=retry_at, limits=limits.current_values()
            )

    def renew_watch(self, folder: HotFolder, watcher: "Watcher") -> None:
        """Set a folder's watch anew; what the next sweep finds may have come before it."""
        self.canary.forget(folder.name)
        self.proven.add(folder.name)
        if folder.name in self.untrusted:
            self.trust_events(folder.name)  # the path may lead to another folder by now
        watcher.remove(folder)
        watcher.add(folder)

    def stop_watching(
        self, folder: HotFolder, watcher: "Watcher", error: OSError, *, monotonic: float
    ) -> None:
        """Poll a folder that cannot be watched, and leave its watches to other programs."""
        watcher.remove(folder)
        self.canary.forget(folder.name)
        text = explain(error)
        needed = sum(1 for _ in scan.folders(folder.path, is_deep=folder.recursive))
        advice = limits.advice(error.errno, needed=needed)
        reason = f"{text}; allow more: {advice}" if advice else text
        self.start_polling(folder, PolledFolder(reason, monotonic + RETRY_S))

    # --- between sweeps ---------------------------------------------------------------------

    def note_event(self, name: str) -> None:
        """Note that an event of a folder has come: its watch works."""
        if self.canary.note_event(name) and name not in self.untrusted:
            self.trust_events(name)

    def check(self, folders: Iterable[HotFolder], *, monotonic: float, is_idle: bool) -> list[str]:
        """Return folders to sweep now: their watch broke, or the canary's event did not come.

        ``is_idle``: no message waits, so an event that has not come is not just late.
        """
        if self.watcher is None or monotonic < self.next_check:
            return []
        self.next_check = monotonic + CHECK_S
        return [
            folder.name
            for folder in folders
            if self.has_broken_watch(folder, self.watcher)
            or (is_idle and self.has_canary_failed(folder, self.watcher, monotonic=monotonic))
        ]

    def has_broken_watch(self, folder: HotFolder, watcher: "Watcher") -> bool:
        """Whether the watch of a folder has gone, or the path leads to another folder."""
        if folder.name in self.polled and folder.name not in self.untrusted:
            return False
        try:
            return watcher.is_broken(folder)
        except OSError:
            return True  # the sweep will report why

    def has_canary_failed(self, folder: HotFolder, watcher: "Watcher", *, monotonic: float) -> bool:
        """Whether no event came of two touches; then the folder is polled from now on."""
        if watcher.is_busy or not self.canary.is_overdue(folder.name, monotonic=monotonic):
            return False
        if self.canary.touch_again(folder, monotonic=monotonic):
            return False
        if folder.name in self.polled and folder.name not in self.untrusted:
            return False  # known; tried again when it is due
        self.start_polling(
            folder, PolledFolder("no event came of a file that we touched there", monotonic)
        )
        # Most likely a thread of the library has died: all watches are set anew, once.
        watcher.reset()
        return True

    # --- after a sweep -----------------------------------------------------------------------

    def note_lost_events(self, name: str) -> None:
        """Note that events were lost: what the next sweep finds is no sign of a broken watch."""
        self.with_lost_events.add(name)

    def compare_with_sweeps(self, folder: HotFolder, *, hinted: int, missed: int) -> None:
        """Compare the totals of pictures that events reported and that only sweeps found."""
        name = folder.name
        last = self.last_totals.setdefault(name, (hinted, missed))
        new_hinted, new_missed = hinted - last[0], missed - last[1]
        if name in self.untrusted:
            if new_hinted >= MIN_EVIDENCE and not new_missed:
                self.trust_events(name)
            is_decided = bool(new_missed)
        else:
            is_decided = bool(new_hinted) or name in self.polled or name in self.proven
            if new_missed >= MIN_EVIDENCE and not is_decided and self.watcher is not None:
                text = f"events do not arrive: {new_missed} pictures came without one"
                self.start_polling(folder, PolledFolder(text, inf))
                self.untrusted.add(name)
            is_proven = bool(new_hinted) or name in self.with_lost_events
            self.proven = self.proven | {name} if is_proven else self.proven - {name}
        self.with_lost_events.discard(name)
        if is_decided:
            self.last_totals[name] = hinted, missed

    # --- logging ----------------------------------------------------------------------------

    def start_polling(
        self, folder: HotFolder, polled: PolledFolder, *, level: int = logging.WARNING
    ) -> None:
        """Poll a folder from now on, and log it once."""
        if folder.name not in self.polled:
            text = "folder %s (%s) is polled every %g s: %s"
            place = printable(folder.path)
            fields = {"HOT_FOLDER": folder.name, "ERROR": polled.reason}
            logger.log(level, text, folder.name, place, POLL_S, polled.reason, extra=fields)
        self.polled[folder.name] = polled
        self.untrusted.discard(folder.name)

    def trust_events(self, name: str) -> None:
        """Rely on events from now on, and log it if that is a change."""
        self.untrusted.discard(name)
        if self.polled.pop(name, None) is not None:
            logger.warning("folder %s is watched again: events arrive", name)


def why_polled(folder: HotFolder) -> str:
    """Return why a folder is never watched; empty if a watch is tried."""
    if folder.watch == "polling":
        return "set so (folders[].watch)"
    kind = scan.file_system(folder.path, mounts.read())
    if folder.watch == "auto" and scan.is_remote(kind):
        return f"{kind} tells nothing of what other machines write"
    return ""
