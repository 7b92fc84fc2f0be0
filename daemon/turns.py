"""What waits, taken in turns: by folder, within a folder by owner, within an owner by rank."""

import heapq
from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Waiting(NamedTuple, Generic[T]):
    """One thing in its line; the serial number keeps things themselves from being compared."""

    rank: tuple[Any, ...]  # Any: what a caller compares by
    serial: int
    thing: T


class Turns(Generic[T]):
    """Each folder gives one thing and then goes to the end, each owner within it likewise.

    A folder with one thing therefore waits for one of each other folder, however many those hold.
    """

    def __init__(self) -> None:
        self.folders: dict[str, dict[int, list[Waiting[T]]]] = {}
        """Lines by folder and owner; whose turn it is next comes first."""
        self.count = 0
        self.serial = 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[T]:
        """All things, in no order."""
        for owners in self.folders.values():
            for line in owners.values():
                yield from (waiting.thing for waiting in line)

    def put(self, thing: T, *, folder: str, owner: int, rank: tuple[Any, ...]) -> None:
        """Add a thing; of one owner's things the lowest rank is taken first."""
        line = self.folders.setdefault(folder, {}).setdefault(owner, [])
        heapq.heappush(line, Waiting(rank, self.serial, thing))
        self.serial += 1
        self.count += 1

    def take(self) -> T | None:
        """The next thing; its folder and its owner go to the end."""
        if not self.folders:
            return None
        folder, owners = next(iter(self.folders.items()))
        owner, line = next(iter(owners.items()))
        thing = heapq.heappop(line).thing
        del self.folders[folder], owners[owner]
        if line:
            owners[owner] = line
        if owners:
            self.folders[folder] = owners
        self.count -= 1
        return thing

    def remove(self, is_meant: Callable[[T], bool]) -> None:
        """Forget some things; the others keep their turns."""
        for folder, owners in list(self.folders.items()):
            for owner, line in list(owners.items()):
                kept = [waiting for waiting in line if not is_meant(waiting.thing)]
                self.count -= len(line) - len(kept)
                heapq.heapify(kept)
                owners[owner] = kept
                if not kept:
                    del owners[owner]
            if not owners:
                del self.folders[folder]

    def clear(self) -> None:
        """Forget everything."""
        self.folders.clear()
        self.count = 0
