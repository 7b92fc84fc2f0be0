"""A neighbour at every step: what he gets is counted as a loss."""

from pathlib import Path

import pytest

from tests.system.neighbour_kit import PICTURES, SWAPS, Swap, meddling, swap_everywhere
from tests.torture.tally import Row


def neighbours(base: Path, *, stride: int) -> list[Row]:
    """A row for each thing that he swaps."""
    return [beside(base, swap, stride=stride) for swap in SWAPS]


def beside(base: Path, swap: Swap, *, stride: int) -> Row:
    """All lives beside a neighbour who swaps one thing; a theft is in the title."""
    title = f"a neighbour at every call: {swap.__name__.replace('_', ' ')}"
    try:
        with pytest.MonkeyPatch.context() as patch, meddling(patch) as invite:
            lives = swap_everywhere(base, invite, swap, stride=stride)
    except AssertionError as error:
        return Row(f"{title}: {error}", lost=1)
    dropped = lives * len(PICTURES)
    return Row(f"{title} ({lives} lives)", dropped=dropped, published=dropped)
