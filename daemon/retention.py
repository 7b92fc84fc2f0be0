"""Deletes our own closed drops once they are old enough, and nothing else, ever."""

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from daemon import store
from daemon.errors import describe, printable

logger = logging.getLogger(__name__)


def stamp(name: str) -> datetime | None:
    """The local time in a drop's name; None if it is no drop's name."""
    match = store.DROP_NAME.fullmatch(name)
    if match is None:
        return None
    try:
        return datetime.strptime(match[1], "%Y%m%d%H%M%S")  # noqa: DTZ007  # names are local time
    except ValueError:
        return None


def closing_time(drop: Path) -> datetime | None:
    """When a drop was closed, in local time; None if it is open, or not certainly ours."""
    if drop.is_symlink() or not drop.is_dir():
        return None
    marker, manifest = drop / store.MARKER, drop / store.MANIFEST
    if any(path.is_symlink() or not path.is_file() for path in (marker, manifest)):
        return None
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        if not content["made_by"].startswith("cvunetd "):
            return None
        return datetime.fromisoformat(content["closed_at"]).astimezone().replace(tzinfo=None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # whatever this is, we have not written it


def expired(roots: Iterable[Path], *, keep_days: float, local_now: datetime) -> Iterator[Path]:
    """Drops that may go: by the time in their name, our mark and our manifest; never by mtime.

    Both times must be old: a clock that was wrong when a drop was opened is put right later.
    """
    limit = timedelta(days=keep_days)
    for root in sorted(set(roots)):
        for drop in sorted(root.iterdir()) if root.is_dir() else ():
            opened = stamp(drop.name)
            if opened is None or local_now - opened < limit:
                continue
            closed = closing_time(drop)
            if closed is not None and local_now - closed >= limit:
                yield drop


class Retention:
    """Sweeps the output folders from time to time."""

    def __init__(
        self,
        roots: Iterable[Path],
        *,
        keep_days: float,
        sweep_s: float,
        is_open: Callable[[Path], bool],
        on_removed: Callable[[Path], None],
    ) -> None:
        """``is_open`` tells drops still being filled; ``on_removed`` forgets their rows."""
        self.roots = frozenset(roots)
        self.keep_days = keep_days
        self.sweep_s = sweep_s
        self.is_open = is_open
        self.on_removed = on_removed
        self.next_sweep = 0.0

    def sweep(self, *, monotonic: float, local_now: datetime) -> None:
        """Delete what has expired, if it is time to look. `local_now` is naive local time."""
        if monotonic < self.next_sweep:
            return
        self.next_sweep = monotonic + self.sweep_s
        try:
            old = list(expired(self.roots, keep_days=self.keep_days, local_now=local_now))
        except OSError as error:
            logger.error("old drops could not be looked for: %s", describe(error))
            return
        for drop in old:
            if not self.is_open(drop):
                self.remove(drop)

    def remove(self, drop: Path) -> None:
        """Delete one drop; a failure is told and tried again at the next sweep."""
        try:
            store.remove_drop(drop)
        except OSError as error:
            logger.error("%s could not be deleted: %s", printable(drop), describe(error))
            return
        self.on_removed(drop)
        logger.info("deleted %s after %g days", printable(drop), self.keep_days)
