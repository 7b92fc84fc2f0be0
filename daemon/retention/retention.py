"""Deletes only our own closed drops, once they are old enough.

Old pictures in quarantine and old rows in the ledger are deleted by the same rule.
"""

import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from daemon.disk import deletion, drop_names, safe_open, store
from daemon.errors import LedgerError, describe, printable
from daemon.jobs import HotFolder, Job
from daemon.retention import contents, quarantine

logger = logging.getLogger(__name__)

DAY_S = 86400.0
#: Between two looks at the rows of kept originals until all have been looked at.
MORE_S = 3.0


def drop_time(name: str) -> datetime | None:
    """Return the local time in a name as drops have by default; None if it has another form."""
    match = drop_names.OLD_NAME.fullmatch(name)
    if match is None:
        return None
    try:
        return datetime.strptime(match[1], "%Y%m%d%H%M%S")  # noqa: DTZ007  # names are local time
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Times:
    """When a drop was opened, and closed or last used, local time."""

    opened: datetime
    closed: datetime


def times_of(name: str, drop: int) -> Times | None:
    """Return the times of an open folder's drop; None if it is not certainly ours: marked, and
    with our manifest. One that was out of sight when it was closed counts from its last picture.
    """
    if not drop_names.is_marked(name, drop):
        return None
    try:
        content = json.loads(
            deletion.read(store.MANIFEST, drop, limit_bytes=contents.MANIFEST_BYTES)
        )
        if not content["made_by"].startswith("cvunetd "):
            return None
        opened = drop_time(name) or local(content["opened_at"])
        return Times(opened, max(map(local, ends_of(content))))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None  # not written by us


def ends_of(content: dict[str, Any]) -> list[str]:  # Any: JSON
    """Return when a drop was closed by its manifest, or else when its pictures ended."""
    if closed_at := content["closed_at"]:
        return [closed_at]
    return [one["ended_at"] for one in content["pictures"]]


def local(moment: str) -> datetime:
    """Return the local time of a moment as manifests have it."""
    return datetime.fromisoformat(moment).astimezone().replace(tzinfo=None)


def is_expired(name: str, drop: int, *, keep_days: float, local_now: datetime) -> bool:
    """Whether a drop may be deleted: by our mark and our manifest; never by mtime.

    Both times must be old: a clock that was wrong when a drop was opened may be corrected later.
    """
    if is_young(name, keep_days=keep_days, local_now=local_now):
        return False
    limit, times = timedelta(days=keep_days), times_of(name, drop)
    return times is not None and local_now - max(times.opened, times.closed) >= limit


def is_young(name: str, *, keep_days: float, local_now: datetime) -> bool:
    """Whether a name of the default form says that the drop may not be deleted yet."""
    opened = drop_time(name)
    return opened is not None and local_now - opened < timedelta(days=keep_days)


def expired(roots: Iterable[Path], *, keep_days: float, local_now: datetime) -> Iterator[Path]:
    """Yield drops that may be deleted. Roots and drops that are links are skipped."""
    for root in sorted(set(roots)):
        try:
            yield from expired_in(root, keep_days=keep_days, local_now=local_now)
        except FileNotFoundError:
            continue  # there are no results yet
        except OSError as error:
            logger.error("%s: no old drops could be looked for: %s", root, describe(error))


def expired_in(root: Path, *, keep_days: float, local_now: datetime) -> Iterator[Path]:
    """Drops of one root that may go."""
    with safe_open.folder(root, flags=safe_open.LISTED) as top:
        for name in deletion.names(top):
            # Most of what lies there is told by its name to be young, and is not opened.
            if not drop_names.STAMP.search(name) or is_young(
                name, keep_days=keep_days, local_now=local_now
            ):
                continue
            try:
                with safe_open.below(top, (name,)) as drop:
                    is_old = is_expired(name, drop, keep_days=keep_days, local_now=local_now)
            except OSError as error:
                logger.debug("%s is no drop: %s", printable(root / name), describe(error))
                continue
            if is_old:
                yield root / name


@dataclass(frozen=True, slots=True)
class LedgerAccess:
    """What retention may ask the ledger, and what it may change there."""

    is_open: Callable[[Path], bool]
    """Whether a drop is still being filled."""
    forget_drop: Callable[[Path], None]
    closed_drops: Callable[[float], Iterable[Path]]
    """Drops opened and closed before a time with rows that may be deleted."""
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
        for drop in list(expired(self.roots, keep_days=self.keep_days, local_now=local_now)):
            if not self.ledger_access.is_open(drop):
                yield drop

    def try_remove_drop(self, drop: Path, local_now: datetime) -> bool:
        """Delete one drop; a failure is logged, and the next sweep tries again."""

        def is_still_expired(folder: int) -> bool:
            return is_expired(drop.name, folder, keep_days=self.keep_days, local_now=local_now)

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
        """Yield drops whose folder is gone."""
        yield from (d for d in self.known_drops(before, local_now) if not os.path.lexists(d))

    def known_drops(self, before: float, local_now: datetime) -> Iterator[Path]:
        """Yield drops that are still in the ledger, and old by its times and by their name."""
        for drop in self.ledger_access.closed_drops(before):
            if not is_young(drop.name, keep_days=self.keep_days, local_now=local_now):
                yield drop


def finish_deletion(drop: Path) -> None:
    """Remove what a deletion that was interrupted at its very end has left."""
    try:
        store.remove_empty_drop(drop, is_known=True)
    except FileNotFoundError:
        return
    except OSError as error:
        logger.debug("%s: %s", printable(drop), describe(error))
