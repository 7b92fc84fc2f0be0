"""Old pictures in quarantine: which may go, by the time in the reason that lies beside each."""

import json
import logging
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon.disk import deletion, store
from daemon.errors import describe, printable

logger = logging.getLogger(__name__)

REASON_BYTES = 1 << 20
#: What `delivery.reason_of` writes.
KEYS = frozenset({"source", "folder", "reason", "attempts", "id", "rejected_at"})


@dataclass(frozen=True, slots=True)
class Rejected:
    """A picture that was rejected, or only its reason if the picture stayed or has been taken."""

    root: Path
    parts: deletion.RelativeParts
    """From the root to the folder that it lies in."""
    names: tuple[str, ...]
    """In the order in which they go: a reason must not go before its picture."""

    @property
    def path(self) -> Path:
        """What people know it by."""
        return self.root.joinpath(*self.parts, self.names[0])


def expired(root: Path, *, before: float) -> Iterator[Rejected]:
    """What was rejected before a time (UTC seconds), by our own reason's word; never by mtime."""
    try:
        with deletion.opened(root) as top:
            yield from expired_below(root, top, before=before)
    except FileNotFoundError:
        return  # nothing has been rejected yet


def expired_below(root: Path, top: int, *, before: float) -> Iterator[Rejected]:
    """Folder by folder; nothing that is a link, or mounted inside, is entered."""
    device = os.fstat(top).st_dev
    pending: list[deletion.RelativeParts] = [()]
    while pending:
        parts = pending.pop()
        try:
            with deletion.opened_below(top, parts) as folder:
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
    """Of a folder's entries, those with an old reason. A folder that was rejected stays."""
    reasons = {name: store.reason_file(Path("/", name)).name for name in entries}
    taken = {reason for name, reason in reasons.items() if reason != name}
    for name in sorted(name for name, is_dir in entries.items() if not is_dir):
        if reasons[name] in entries and reasons[name] != name:  # that of a very long one may be
            names: tuple[str, ...] = (name, reasons[name])
        elif name in taken or not name.endswith(".json"):
            continue  # the reason of another, or a file without one
        else:
            names = (name,)
        if is_old(names[-1], folder, before=before):
            yield names


def is_old(reason: str, folder: int, *, before: float) -> bool:
    """A reason that we have written, long enough ago."""
    try:
        text = deletion.read(reason, folder, limit_bytes=REASON_BYTES)
        content = json.loads(text)
    except (OSError, ValueError, RecursionError):
        return False  # whatever this is, we have not written it
    if not isinstance(content, dict) or set(content) != KEYS:
        return False
    rejected_at = content["rejected_at"]
    is_time = isinstance(rejected_at, int | float) and not isinstance(rejected_at, bool)
    return is_time and math.isfinite(rejected_at) and rejected_at < before


def remove(rejected: Rejected, *, before: float) -> bool:
    """Delete a picture and its reason, if that is still as old; folders left empty go, too."""
    with deletion.opened(rejected.root) as top:
        with deletion.opened_below(top, rejected.parts) as folder:
            if not is_old(rejected.names[-1], folder, before=before):
                return False
            deletion.remove_files(rejected.names, folder)
        deletion.prune(top, rejected.parts)
    return True
