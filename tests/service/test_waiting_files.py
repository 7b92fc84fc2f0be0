"""What a turn of the loop costs while many files wait: the same as while few do."""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.service.service_kit import Kit

FEW, MANY = 200, 1400
SETTLED_S = 5.0
TURN_S = 1.0
TURNS = 40
"""Fewer seconds than lie between two sweeps; longer than any report waits."""


def calls_of(act: Callable[[], object]) -> Counter[str]:
    """Every call that Python makes meanwhile, also of built-in functions and of generators."""
    found: Counter[str] = Counter()

    def note(frame: FrameType, event: str, argument: Any) -> None:  # Any: as Python gives it
        if event == "call":
            found[frame.f_code.co_qualname] += 1
        elif event == "c_call":
            found[argument.__qualname__] += 1

    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
    return found


def kit_with(base: Path, count: int, name: str, folder: dict[str, object]) -> Kit:
    """A service whose queue is full, with so many more files in its folder, all seen."""
    base.mkdir()
    kit = Kit(base, is_held=True, folder=folder, settings={"worker": {"queue_size": 4}})
    for number in range(count):
        (kit.hot / f"{number:05}{name}").write_bytes(b"picture")
    kit.service.next_sweep["hot"] = 0.0
    for _ in range(4):
        kit.service.tick(0.0)
        kit.time.seconds += SETTLED_S
    return kit


def cost_of_turns(kit: Kit) -> Counter[str]:
    """Calls of some turns between two sweeps."""
    kit.service.next_sweep["hot"] = kit.time.clocks.monotonic() + 2 * TURNS * TURN_S

    def turns() -> None:
        for _ in range(TURNS):
            kit.time.seconds += TURN_S
            kit.service.tick(0.0)

    return calls_of(turns)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        (".jpg", {}),
        (".txt", {}),
        ("-left.jpg", {"ignore": ["*-left.jpg"]}),
        (".jpg", {"originals": "keep"}),
    ],
    ids=["waiting", "foreign", "ignored", "kept"],
)
def test_a_turn_costs_the_same_however_many_files_wait(
    tmp_path: Path, name: str, folder: dict[str, object]
) -> None:
    """No call of a turn happens more often for each file that lies in the folder."""
    few, many = (
        cost_of_turns(kit_with(tmp_path / str(count), count, name, folder)) for count in (FEW, MANY)
    )

    grown = {call: (few[call], number) for call, number in many.items() if number > few[call] + FEW}
    assert not grown
    assert many.total() <= few.total() + FEW


def test_a_turn_lists_no_hot_folder_between_two_sweeps(tmp_path: Path) -> None:
    """What lies in a folder is known until the next sweep."""
    kit = kit_with(tmp_path / "base", FEW, ".jpg", {})

    calls = cost_of_turns(kit)

    assert calls["scandir"] == calls["listdir"] == 0
