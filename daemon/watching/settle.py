"""When a file is whole: nothing about it has changed for long enough.

Pure but for the `look` that it is given: no threads, no clock of its own. Time is monotonic and
counts from the last change that *we* saw, so that clock steps and odd mtimes do not matter.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daemon.jobs import Hint, Identity
from daemon.turns import Turns

#: After a close or a rename into place the writer is most likely through.
QUICK_S = 0.5

Look = Callable[[Path], Identity | None]


@dataclass(slots=True)
class Entry:
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
class Settled:
    """A file that has stayed the same for long enough."""

    folder: str
    path: Path
    identity: Identity
    hint: Hint
    """What made us see it first."""


class Settle:
    """The table of files that are being watched for change."""

    def __init__(self, look: Look) -> None:
        """``look`` gives a file's identity, or None if it is gone or no regular file."""
        self.look = look
        self.entries: dict[Path, Entry] = {}
        self.due: list[tuple[float, Path]] = []
        self.whole: Turns[tuple[float, Path]] = Turns()
        """Files whose time has come and for which there was no room yet."""

    def __len__(self) -> int:
        return len(self.entries)

    def track(  # one call per hint, with all that the caller knows
        self, folder: str, path: Path, hint: Hint, *, settle_s: float, empty_s: float, now: float
    ) -> None:
        """Begin or go on watching a file.

        ``settle_s`` is the full wait. An empty file waits ``empty_s``: many programs make one as a
        placeholder long before they fill it or rename over it.
        """
        identity = self.look(path)
        if identity is None:
            self.entries.pop(path, None)
            return
        known = self.entries.get(path)
        wait_s = self.wait(hint, identity, settle_s=settle_s, empty_s=empty_s)
        if known is not None and known.identity == identity:
            # Nothing changed: a sweep must not put off what is waiting, a close may hasten it.
            if now + wait_s < known.due_at:
                self.push(path, known, due_at=now + wait_s)
            return
        first_hint = hint if known is None else known.hint
        entry = Entry(folder, identity, now, settle_s, max(settle_s, empty_s), first_hint)
        self.entries[path] = entry
        self.push(path, entry, due_at=now + wait_s)

    def wait(self, hint: Hint, identity: Identity, *, settle_s: float, empty_s: float) -> float:
        """How long a file must stay as it is."""
        if identity.size == 0:
            return max(settle_s, empty_s)
        return min(settle_s, QUICK_S) if hint in (Hint.CLOSED, Hint.MOVED) else settle_s

    def push(self, path: Path, entry: Entry, *, due_at: float) -> None:
        """Look at a file again at that time; an older place in the heap goes stale."""
        entry.due_at = due_at
        heapq.heappush(self.due, (due_at, path))

    def ready(self, now: float, *, limit: int) -> list[Settled]:
        """Take out up to ``limit`` files that are whole by now; folders and owners take turns."""
        self.line_up(now)
        settled: list[Settled] = []
        while len(settled) < limit and (place := self.whole.take()) is not None:
            due_at, path = place
            entry = self.entries.get(path)
            if entry is None or entry.due_at != due_at:
                continue
            identity = self.look(path)
            if identity is None:
                del self.entries[path]
            elif identity != entry.identity:
                entry.identity = identity
                wait_s = entry.wait_s if identity.size else entry.empty_s
                self.push(path, entry, due_at=now + wait_s)
            else:
                del self.entries[path]
                settled.append(Settled(entry.folder, path, identity, entry.hint))
        return settled

    def line_up(self, now: float) -> None:
        """Put files whose time has come into their folder's and their owner's line."""
        while self.due and self.due[0][0] <= now:
            place = heapq.heappop(self.due)
            entry = self.entries.get(place[1])
            if entry is not None and entry.due_at == place[0]:
                owner = entry.identity.owner
                self.whole.put(place, folder=entry.folder, owner=owner, rank=place)

    def next_due(self) -> float | None:
        """When `ready` is worth calling again; a moment that is past if something is whole now."""
        if self.whole:
            return next(iter(self.whole))[0]
        return self.due[0][0] if self.due else None

    def holds_content(self) -> bool:
        """Some file that is not empty is on its way."""
        return any(entry.identity.size for entry in self.entries.values())

    def forget_folder(self, folder: str) -> None:
        """Stop watching everything of a folder."""
        gone = [path for path, entry in self.entries.items() if entry.folder == folder]
        for path in gone:
            del self.entries[path]
