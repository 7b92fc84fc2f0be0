"""When a file is whole: nothing about it has changed for long enough.

Pure but for the `look` that it is given: no threads, no clock of its own. Time is monotonic and
counts from the last change that *we* saw, so that clock steps and odd mtimes do not matter.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daemon.jobs import Hint, Identity

#: After a close or a rename into place the writer is most likely through.
SHORT_SETTLE_S = 0.5

ReadIdentity = Callable[[Path], Identity | None]


@dataclass(slots=True)
class SettlingFile:
    """A file on its way to being whole."""

    folder: str
    identity: Identity
    due_at: float
    wait_s: float
    """How long it must stay the same after a change."""
    empty_s: float
    """How long if it is empty then."""
    hint: Hint


@dataclass(frozen=True, slots=True)
class SettledFile:
    """A file that has stayed the same for long enough."""

    folder: str
    path: Path
    identity: Identity
    hint: Hint
    """What made us see it first."""


class SettleTracker:
    """The table of files that are being watched for change."""

    def __init__(self, read_identity: ReadIdentity) -> None:
        """``read_identity`` gives a file's identity, or None if it is gone or no regular file."""
        self.read_identity = read_identity
        self.files: dict[Path, SettlingFile] = {}
        self.due: list[tuple[float, Path]] = []

    def __len__(self) -> int:
        return len(self.files)

    def track(  # one call per hint, with all that the caller knows
        self, folder: str, path: Path, hint: Hint, *, settle_s: float, empty_s: float, now: float
    ) -> None:
        """Begin or go on watching a file.

        ``settle_s`` is the full wait. An empty file waits ``empty_s``: many programs make one as a
        placeholder long before they fill it or rename over it.
        """
        identity = self.read_identity(path)
        if identity is None:
            self.files.pop(path, None)
            return
        known = self.files.get(path)
        wait_s = self.settle_time_s(hint, identity, settle_s=settle_s, empty_s=empty_s)
        if known is not None and known.identity == identity:
            # Nothing changed: a sweep must not put off what is waiting, a close may hasten it.
            if now + wait_s < known.due_at:
                self.schedule(path, known, due_at=now + wait_s)
            return
        first_hint = hint if known is None else known.hint
        entry = SettlingFile(folder, identity, now, settle_s, max(settle_s, empty_s), first_hint)
        self.files[path] = entry
        self.schedule(path, entry, due_at=now + wait_s)

    def settle_time_s(
        self, hint: Hint, identity: Identity, *, settle_s: float, empty_s: float
    ) -> float:
        """How long a file must stay as it is."""
        if identity.size == 0:
            return max(settle_s, empty_s)
        return min(settle_s, SHORT_SETTLE_S) if hint in (Hint.CLOSED, Hint.MOVED) else settle_s

    def schedule(self, path: Path, entry: SettlingFile, *, due_at: float) -> None:
        """Look at a file again at that time; an older place in the heap goes stale."""
        entry.due_at = due_at
        heapq.heappush(self.due, (due_at, path))

    def take_settled(self, now: float, *, limit: int) -> list[SettledFile]:
        """Take out up to ``limit`` files that are whole by now."""
        settled: list[SettledFile] = []
        while self.due and self.due[0][0] <= now and len(settled) < limit:
            due_at, path = heapq.heappop(self.due)
            entry = self.files.get(path)
            if entry is None or entry.due_at != due_at:
                continue
            identity = self.read_identity(path)
            if identity is None:
                del self.files[path]
            elif identity != entry.identity:
                entry.identity = identity
                wait_s = entry.wait_s if identity.size else entry.empty_s
                self.schedule(path, entry, due_at=now + wait_s)
            else:
                del self.files[path]
                settled.append(SettledFile(entry.folder, path, identity, entry.hint))
        return settled

    def next_due(self) -> float | None:
        """When `ready` is worth calling again."""
        return self.due[0][0] if self.due else None

    def has_content(self) -> bool:
        """Some file that is not empty is on its way."""
        return any(entry.identity.size for entry in self.files.values())

    def forget_folder(self, folder: str) -> None:
        """Stop watching everything of a folder."""
        paths = [path for path, entry in self.files.items() if entry.folder == folder]
        for path in paths:
            del self.files[path]
