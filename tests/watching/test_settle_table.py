"""The table of settling files: who is told, in which order, how many at a time."""

from pathlib import Path

import pytest

from daemon.jobs import Hint, Identity
from daemon.watching.settle import SettledFile, SettleTracker

WHOLE = Identity(1, 2, 3, 4)


@pytest.fixture
def settle() -> SettleTracker:
    """A table of files that never change."""
    return SettleTracker(lambda path: WHOLE)


def see(
    settle: SettleTracker, name: str, now: float, *, hint: Hint = Hint.SWEEP, folder: str = "hot"
):
    """Follow a hint."""
    settle.track(folder, Path(name), hint, settle_s=2.0, empty_s=120.0, now=now)


def names(settled: list[SettledFile]) -> list[str]:
    """What they are called."""
    return [one.path.name for one in settled]


def test_settled_file_says_what_it_is(settle: SettleTracker):
    """Folder, path, version and first hint."""
    see(settle, "a", 100.0, hint=Hint.STARTUP, folder="scans")

    assert [SettledFile("scans", Path("a"), WHOLE, Hint.STARTUP)] == settle.take_settled(
        102.0, limit=1
    )


def test_first_hint_is_kept_when_nothing_changes(settle: SettleTracker):
    """A sweep that looks again has not found the file."""
    see(settle, "a", 100.0, hint=Hint.CREATED)
    see(settle, "a", 101.0, hint=Hint.SWEEP)

    assert settle.take_settled(102.0, limit=1)[0].hint.found_by == "event"


def test_first_hint_is_kept_when_the_file_changes():
    """A file that is written again while it settles was still found by the sweep."""
    versions = iter([WHOLE, Identity(1, 2, 5, 6), Identity(1, 2, 5, 6)])
    settle = SettleTracker(lambda path: next(versions))
    see(settle, "a", 100.0, hint=Hint.SWEEP)
    see(settle, "a", 101.0, hint=Hint.CLOSED)

    assert settle.take_settled(101.5, limit=1)[0].hint.found_by == "sweep"


def test_oldest_comes_first(settle: SettleTracker):
    """In the order in which they became whole."""
    see(settle, "b", 100.0)
    see(settle, "a", 101.0)

    assert names(settle.take_settled(200.0, limit=9)) == ["b", "a"]


def test_limit_is_respected(settle: SettleTracker):
    """What has no room stays in the table."""
    for name in "abc":
        see(settle, name, 100.0)

    assert names(settle.take_settled(102.0, limit=2)) == ["a", "b"]
    assert len(settle) == 1


def test_rest_comes_later(settle: SettleTracker):
    """The next call goes on where the limit stopped it."""
    for name in "abc":
        see(settle, name, 100.0)
    settle.take_settled(102.0, limit=2)

    assert names(settle.take_settled(102.0, limit=2)) == ["c"]


def test_no_room_takes_nothing(settle: SettleTracker):
    """A full queue leaves the folder alone."""
    see(settle, "a", 100.0)

    assert settle.take_settled(102.0, limit=0) == []
    assert len(settle) == 1


def test_forgotten_places_do_not_use_up_the_limit(settle: SettleTracker):
    """Stale places of the heap count for nothing."""
    see(settle, "a", 100.0, folder="gone")
    see(settle, "b", 100.0)
    settle.forget_folder("gone")

    assert names(settle.take_settled(102.0, limit=1)) == ["b"]


def test_hastened_file_settles_once(settle: SettleTracker):
    """Its older place in the heap is stale."""
    see(settle, "a", 100.0)
    see(settle, "a", 100.1, hint=Hint.CLOSED)
    settle.take_settled(100.6, limit=9)

    assert settle.take_settled(200.0, limit=9) == []


def test_two_places_at_one_time_settle_once(settle: SettleTracker):
    """Forgotten and seen again within one instant."""
    see(settle, "a", 100.0)
    settle.forget_folder("hot")
    see(settle, "a", 100.0)

    assert names(settle.take_settled(102.0, limit=9)) == ["a"]


def test_next_look_is_the_earliest(settle: SettleTracker):
    """The loop sleeps until then."""
    see(settle, "a", 101.0)
    see(settle, "b", 100.0)

    assert settle.next_due() == 102.0


def test_nothing_to_look_at(settle: SettleTracker):
    """The loop need not wake for us."""
    assert settle.next_due() is None


def test_forgetting_a_folder_leaves_the_others(settle: SettleTracker):
    """A folder that rests is swept when it resumes."""
    see(settle, "a", 100.0, folder="one")
    see(settle, "b", 100.0, folder="two")
    settle.forget_folder("one")

    assert names(settle.take_settled(102.0, limit=9)) == ["b"]


def test_folders_take_turns_where_there_is_little_room(settle: SettleTracker):
    """A picture that comes last is not behind a flood of another folder."""
    for number in range(5):
        see(settle, f"flood{number}", 100.0, folder="one")
    see(settle, "small", 101.0, folder="two")

    assert names(settle.take_settled(103.0, limit=2)) == ["flood0", "small"]
    assert settle.next_due() == 102.0
    assert names(settle.take_settled(103.0, limit=9)) == ["flood1", "flood2", "flood3", "flood4"]
