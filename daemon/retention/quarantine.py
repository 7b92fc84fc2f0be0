"""Old pictures in quarantine: which may be deleted, by the time in their reason files."""

import json
import logging
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon.disk import deletion, safe_open, store
from daemon.errors import describe, printable

logger = logging.getLogger(__name__)

REASON_BYTES = 1 << 20
#: The keys that `rejection.reason_of` writes.
KEYS = frozenset({"source", "folder", "reason", "attempts", "id", "rejected_at"})


@dataclass(frozen=True, slots=True)
class Rejected:
    """A rejected picture with its reason, or only the reason if the picture is elsewhere."""

    root: Path
    parts: safe_open.RelativeParts
    """From the root to the folder that it lies in."""
    names: tuple[str, ...]
    """In the order of deletion: the picture first, then its reason."""

    @property
    def path(self) -> Path:
        """Return the path to show to people."""
        return self.root.joinpath(*self.parts, self.names[0])


def expired(root: Path, *, before: float) -> Iterator[Rejected]:
    """Yield what was rejected before a time (UTC seconds), by our own reason; never by mtime."""
    try:
        with safe_open.folder(root, flags=safe_open.LISTED) as top:
            yield from expired_below(root, top, before=before)
    except FileNotFoundError:
        return  # nothing was rejected yet


def expired_below(root: Path, top: int, *, before: float) -> Iterator[Rejected]:
    """Search folder by folder; enters no links and no mounts."""
    device = os.fstat(top).st_dev
    pending: list[safe_open.RelativeParts] = [()]
    while pending:
        parts = pending.pop()
        try:
            with safe_open.below(top, parts) as folder:
                if os.fstat(folder).st_dev != device:
                    continue
                with os.scandir(folder) as found:
                    entries = {entry.name: entry.is_dir(follow_symlinks=False) for entry in found}
                old = list(expired_names(entries, folder, before=before))
        except OSError as error:
            logger.warning("%s: %s", printable(root.joinpath(*parts)), describe(error))
            continue
        yield from (Rejected(root, parts, names) for names in old)
        pending += sorted(
            ((*parts, name) for name, is_dir in entries.items() if is_dir), reverse=True
        )


def expired_names(
    entries: dict[str, bool], folder: int, *, before: float
) -> Iterator[tuple[str, ...]]:
    """Yield a folder's names with an old reason. A rejected folder stays."""
    reasons = {name: store.reason_file(Path("/", name)).name for name in entries}
    taken = {reason for name, reason in reasons.items() if reason != name}
    for name in sorted(name for name, is_dir in entries.items() if not is_dir):
        if (
            reasons[name] in entries and reasons[name] != name
        ):  # a very long name may be its own reason
            names: tuple[str, ...] = (name, reasons[name])
        elif name in taken or not name.endswith(".json"):
            continue  # the reason of another file, or a file without a reason
        else:
            names = (name,)
        if is_old(names[-1], folder, before=before):
            yield names


def is_old(reason: str, folder: int, *, before: float) -> bool:
    """Whether a file is a reason that we wrote, long enough ago."""
    try:
        text = deletion.read(reason, folder, limit_bytes=REASON_BYTES)
        content = json.loads(text)
    except (OSError, ValueError, RecursionError):
        return False  # not written by us
    if not isinstance(content, dict) or set(content) != KEYS:
        return False
    rejected_at = content["rejected_at"]
    is_time = isinstance(rejected_at, int | float) and not isinstance(rejected_at, bool)
    return is_time and -math.inf < rejected_at < before  # an integer may be too large for a float


def remove(rejected: Rejected, *, before: float) -> bool:
    """Delete a picture and its reason, if that is still as old; folders left empty go, too."""
    with safe_open.folder(rejected.root, flags=safe_open.LISTED) as top:
        with safe_open.below(top, rejected.parts) as folder:
            if not is_old(rejected.names[-1], folder, before=before):
                return False
            deletion.remove_files(rejected.names, folder)
        deletion.prune(top, rejected.parts)
    return True
