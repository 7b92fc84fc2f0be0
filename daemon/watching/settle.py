"""When a file is complete: nothing about it has changed for long enough.

Pure but for `read_identity`, which is passed in: no threads, no clock. Times are monotonic and
count from the last change that *we* saw, so that clock steps and odd modification times do not
matter.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from daemon.jobs import Hint, Identity
from daemon.turns import Turns

#: After a close or a rename into place the writer has most likely finished.
SHORT_SETTLE_S = 0.5

ReadIdentity = Callable[[Path], Identity | None]
OnGone = Callable[[str, Path], object]


@dataclass(slots=True)
class SettlingFile:
    """A file that may still change."""

    folder: str
    identity: Identity
    due_at: float
    wait_s: float
    """How long it must stay unchanged after a change."""
    empty_s: float
    """The same for an empty file."""
    hint: Hint
    is_held: bool = False
    """A program has it open for writing."""


@dataclass(frozen=True, slots=True)
class SettledFile:
    """A file that has stayed unchanged for long enough."""

    folder: str
    path: Path
    identity: Identity
    hint: Hint
    """How we first found it."""
    wait_s: float = field(default=0.0, compare=False)
    empty_s: float = field(default=0.0, compare=False)
    """What it would have to wait again after a change."""


class SettleTracker:
    """The table of files that are being checked for changes."""

    def __init__(
        self, read_identity: ReadIdentity, *, on_gone: OnGone = lambda folder, path: None
    ) -> None:
        """``on_gone`` gets folder and path of a file that went before it was complete.

        ``read_identity`` gives a file's identity; None if it is gone or no regular file.
        """
        self.read_identity = read_identity
        self.files: dict[Path, SettlingFile] = {}
        self.due: list[tuple[float, Path]] = []
        self.whole: Turns[tuple[float, Path]] = Turns()
        """Files whose time has come and for which there was no room yet, each once."""
        self.lined_up: set[Path] = set()
        self.on_gone = on_gone

    def __len__(self) -> int:
        return len(self.files)

    def track(  # one call per hint, with all that the caller knows
        self, folder: str, path: Path, hint: Hint, *, settle_s: float, empty_s: float, now: float
    ) -> None:
        """Start or continue to check a file for changes.

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
            # Nothing changed: a sweep must not delay it, but a close may shorten the wait.
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
        """Return how long a file must stay unchanged."""
        if identity.size == 0:
            return max(settle_s, empty_s)
        return min(settle_s, SHORT_SETTLE_S) if hint in (Hint.CLOSED, Hint.MOVED) else settle_s

    def schedule(self, path: Path, entry: SettlingFile, *, due_at: float) -> None:
        """Check a file at that time; its earlier place in the heap becomes stale."""
        entry.due_at = due_at
        heapq.heappush(self.due, (due_at, path))

    def take_settled(self, now: float, *, limit: int) -> list[SettledFile]:
        """Remove and return up to ``limit`` files that are complete by now.

        Hot folders take turns, and within a folder the owners of the files.
        """
        self.line_up(now)
        settled: list[SettledFile] = []
        while len(settled) < limit and (place := self.whole.take()) is not None:
            path = place[1]
            self.lined_up.discard(path)
            entry = self.files.get(path)
            if entry is None or entry.due_at > now:  # gone, or changed while it stood in line
                continue
            identity = self.read_identity(path)
            if identity is None:
                del self.files[path]
                self.on_gone(entry.folder, path)
            elif identity != entry.identity:
                entry.identity = identity
                wait_s = entry.wait_s if identity.size else entry.empty_s
                self.schedule(path, entry, due_at=now + wait_s)
            else:
                del self.files[path]
                settled.append(
                    SettledFile(
                        entry.folder, path, identity, entry.hint, entry.wait_s, entry.empty_s
                    )
                )
        return settled

    def hold(self, settled: SettledFile, *, until: float) -> None:
        """Look again at a settled file later, or as soon as its writer closes it."""
        entry = SettlingFile(
            settled.folder,
            settled.identity,
            until,
            settled.wait_s,
            settled.empty_s,
            settled.hint,
            is_held=True,
        )
        self.files[settled.path] = entry
        self.schedule(settled.path, entry, due_at=until)

    def line_up(self, now: float) -> None:
        """Put files whose time has come into their folder's and their owner's line."""
        while self.due and self.due[0][0] <= now:
            place = heapq.heappop(self.due)
            entry = self.files.get(place[1])
            if entry is None or entry.due_at != place[0]:
                continue  # it was scheduled anew
            if place[1] not in self.lined_up:
                self.lined_up.add(place[1])
                owner = entry.identity.owner
                self.whole.put(place, folder=entry.folder, owner=owner, rank=place)

    def next_due(self) -> float | None:
        """Return when the next file is due, a past moment if one is already; None without files."""
        if self.whole:
            return next(iter(self.whole))[0]
        return self.due[0][0] if self.due else None

    def has_content(self) -> bool:
        """Whether some file that is not empty and not held is being checked."""
        return any(entry.identity.size and not entry.is_held for entry in self.files.values())

    def forget_folder(self, folder: str) -> None:
        """Stop checking all files of a folder."""
        paths = [path for path, entry in self.files.items() if entry.folder == folder]
        for path in paths:
            del self.files[path]
