"""Which drops may be deleted: those that are certainly ours, closed and old enough."""

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from daemon.disk import deletion, drop_names, safe_open, store
from daemon.errors import describe, printable
from daemon.retention import contents

logger = logging.getLogger(__name__)

#: What reading a manifest raises that we have not written; the last is for a date in no calendar.
NOT_OURS = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
    OverflowError,
)


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
    except NOT_OURS:
        return None


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
