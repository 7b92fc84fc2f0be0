"""Deletes only our own closed drops, once they are old enough.

Old pictures in quarantine and old rows in the ledger are deleted by the same rule.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from daemon.disk import store, tree
from daemon.errors import LedgerError, describe, printable
from daemon.jobs import HotFolder, Job
from daemon.retention import contents, expiry, quarantine

logger = logging.getLogger(__name__)

DAY_S = 86400.0
#: Between two looks at the rows of kept originals until all have been looked at.
MORE_S = 3.0


@dataclass(frozen=True, slots=True)
class LedgerAccess:
    """What retention may ask the ledger, and what it may change there."""

    is_open: Callable[[Path], bool]
    """Whether a drop is still being filled."""
    forget_drop: Callable[[Path], None]
    closed_drops: Callable[[float], Iterable[Path]]
    """Drops opened and closed before a time with rows that may be deleted."""
    closed_roots: Callable[[float], Iterable[Path]]
    """Output folders of all drops opened and closed before a time."""
    gone_originals: Callable[[float], Iterable[Job]]
    """Kept originals that are gone, of jobs that ended before a time."""
    forget_gone: Callable[[float], int]
    """Delete the next rows of them, and give space back; returns how many."""
    is_round_over: Callable[[], bool] = lambda: True
    """Whether that has come to the end of all rows, and begins anew."""


class Retention:
    """Sweeps outputs, quarantine and ledger from time to time."""

    def __init__(
        self,
        folders: Iterable[HotFolder],
        *,
        rejected: Path,
        keep_days: float,
        sweep_s: float,
        ledger_access: LedgerAccess,
        is_trusted: Callable[[float, float, float], bool],
    ) -> None:
        """``is_trusted`` says whether a date can be true: ``(now, monotonic, keep_s)``."""
        self.roots = frozenset(folder.output_root for folder in folders)
        self.rejected = rejected
        self.keep_days = keep_days
        self.sweep_s = sweep_s
        self.ledger_access = ledger_access
        self.is_trusted = is_trusted
        self.next_sweep = 0.0
        self.next_look = float("inf")
        """When the rest of the rows of kept originals is looked at …"""
        self.before = 0.0
        """… of jobs that ended before this time (UTC seconds), as the last sweep has found it."""
        self.on_step: Callable[[], object] = lambda: None
        """Called after each deletion, as a sign of progress."""

    def change(self, folders: Iterable[HotFolder], *, keep_days: float, sweep_s: float) -> None:
        """Use other folders or rules from now on; they apply at once."""
        self.roots = frozenset(folder.output_root for folder in folders)
        if (keep_days, sweep_s) != (self.keep_days, self.sweep_s):
            self.keep_days, self.sweep_s, self.next_sweep = keep_days, sweep_s, 0.0

    def sweep(self, *, monotonic: float, now: float, local_now: datetime) -> None:
        """Delete what has expired, if a sweep is due. `local_now` is naive local time."""
        if monotonic >= self.next_sweep:
            self.next_sweep, self.next_look = monotonic + self.sweep_s, float("inf")
            if not self.is_trusted(now, monotonic, self.keep_days * DAY_S):
                return
            self.before = now - self.keep_days * DAY_S
            messages = self.clean(now=now, local_now=local_now)
        elif monotonic >= self.next_look:
            self.next_look = monotonic + MORE_S
            messages = self.forget_gone(self.before)
        else:
            return
        for message in messages:
            logger.info("%s; keep_days is %g", message, self.keep_days)
            self.on_step()
        is_over = self.ledger_access.is_round_over()
        self.next_look = float("inf") if is_over else monotonic + MORE_S

    def clean(self, *, now: float, local_now: datetime) -> Iterator[str]:
        """Delete what has expired; yields one line for each deletion."""
        before = now - self.keep_days * DAY_S
        for rejected in self.old_rejected(before):
            if self.try_remove_rejected(rejected, before):
                yield f"deleted {printable(rejected.path)}"
        yield from self.remove_drops(local_now)
        for drop in self.known_drops(before, local_now):
            finish_deletion(drop)
        for drop in self.gone_drops(before, local_now):
            self.ledger_access.forget_drop(drop)
            yield f"forgot the pictures of {printable(drop)}, which is gone"
        yield from self.forget_gone(before)

    def forget_gone(self, before: float) -> Iterator[str]:
        """Delete the next rows of kept originals that are gone; yields how many, if there are."""
        if forgotten := self.ledger_access.forget_gone(before):
            yield f"forgot {forgotten} kept originals that are gone"

    def remove_drops(self, local_now: datetime) -> Iterator[str]:
        """Delete drops that have expired; what the ledger raises comes after the last of them.

        If its disk is full, their files are what makes room; their rows go at the next sweep.
        """
        trouble: LedgerError | None = None
        for drop in self.old_drops(local_now):
            if not self.try_remove_drop(drop, local_now):
                continue
            yield f"deleted {printable(drop)}{contents.exception(self.left(drop))}"
            try:
                self.ledger_access.forget_drop(drop)
            except LedgerError as error:
                trouble = error
        if trouble is not None:
            raise trouble

    def old_drops(self, local_now: datetime) -> Iterator[Path]:
        """Yield drops that have expired and are not open."""
        before = local_now.timestamp() - self.keep_days * DAY_S
        # Output folders of earlier configurations are in the ledger alone.
        roots = self.roots | {*self.ledger_access.closed_roots(before)}
        drops = expiry.expired(roots, keep_days=self.keep_days, local_now=local_now)
        yield from (drop for drop in list(drops) if not self.ledger_access.is_open(drop))

    def try_remove_drop(self, drop: Path, local_now: datetime) -> bool:
        """Delete one drop; a failure is logged, and the next sweep tries again."""

        def is_still_expired(folder: int) -> bool:
            keep_days = self.keep_days
            return expiry.is_expired(drop.name, folder, keep_days=keep_days, local_now=local_now)

        try:
            return store.remove_drop(
                drop, is_expired=is_still_expired, select=contents.select_foreign
            )
        except (OSError, ValueError) as error:
            logger.error("%s could not be deleted: %s", printable(drop), describe(error))
            return False

    def left(self, drop: Path) -> list[str]:
        """Return what others have put into a drop that was deleted, and what therefore stays."""
        try:
            return contents.files_left(drop)
        except OSError as error:
            logger.error("%s cannot be looked at: %s", printable(drop), describe(error))
            return []

    def plan(self, drop: Path) -> str:
        """Return what would be deleted of a drop, for people."""
        try:
            return f"{printable(drop)}{contents.exception(contents.foreign_files(drop))}"
        except (OSError, ValueError) as error:
            return f"{printable(drop)}, which cannot be read: {describe(error)}"

    def old_rejected(self, before: float) -> list[quarantine.Rejected]:
        """Return pictures in quarantine that have expired."""
        try:
            return list(quarantine.expired(self.rejected, before=before))
        except OSError as error:
            logger.error(
                "%s: no old pictures could be looked for: %s", self.rejected, describe(error)
            )
            return []

    def try_remove_rejected(self, rejected: quarantine.Rejected, before: float) -> bool:
        """Delete one rejected picture with its reason."""
        try:
            return quarantine.remove(rejected, before=before)
        except OSError as error:
            logger.error("%s could not be deleted: %s", printable(rejected.path), describe(error))
            return False

    def gone_drops(self, before: float, local_now: datetime) -> Iterator[Path]:
        """Yield drops whose folder is gone.

        Of an output folder of earlier configurations that is away nothing is known, and only the
        rows of its drops tell that they have to be deleted one day.
        """
        for drop in self.known_drops(before, local_now):
            is_root_there = drop.parent in self.roots or tree.holds_anything(drop.parent)
            if is_root_there and not os.path.lexists(drop):
                yield drop

    def known_drops(self, before: float, local_now: datetime) -> Iterator[Path]:
        """Yield drops that are still in the ledger, and old by its times and by their name."""
        for drop in self.ledger_access.closed_drops(before):
            if not expiry.is_young(drop.name, keep_days=self.keep_days, local_now=local_now):
                yield drop


def finish_deletion(drop: Path) -> None:
    """Remove what a deletion that was interrupted at its very end has left."""
    try:
        store.remove_empty_drop(drop, is_known=True)
    except FileNotFoundError:
        return
    except OSError as error:
        logger.debug("%s: %s", printable(drop), describe(error))
