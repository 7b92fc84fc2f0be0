"""Each item of a stream together with its neighbours."""

from collections.abc import Generator, Iterable
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def windows(
    items: Iterable[Item], *, before: int, after: int
) -> Generator[tuple[list[Item], int], None, None]:
    """For each item the list of it and its neighbours, and its place in the list.

    Fewer neighbours at the beginning and at the end. An item comes when those after it are known.
    """
    source = iter(items)
    known = list(islice(source, after))
    place = 0
    for item in source:
        known.append(item)
        yield list(known), place
        place = min(place + 1, before)
        del known[: len(known) - after - place]
    for rest in range(len(known) - place):
        yield known[max(0, place + rest - before) :], min(place + rest, before)
