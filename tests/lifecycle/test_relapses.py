"""Folders that look well and fail again: how long they rest."""

from daemon.lifecycle import relapses
from daemon.lifecycle.relapses import Relapses

ROOM = 1000


def rests(known: Relapses, room: int = ROOM) -> int:
    """How many checks the folder rests now."""
    count = 0
    while known.is_resting("hot", room):
        count += 1
    return count


def test_a_rest_grows_with_each_failure_up_to_its_end():
    """None after the first failure, then one check, two, and never more than the longest."""
    known = Relapses()
    found = []
    for _ in range(6):
        known.note("hot", ROOM)
        found.append(rests(known))

    assert found == [0, 1, 2, relapses.LONGEST, relapses.LONGEST, relapses.LONGEST]


def test_more_room_ends_a_rest():
    """Somebody has deleted something; less room than at the failure ends nothing."""
    known = Relapses()
    for _ in range(4):
        known.note("hot", ROOM)

    assert known.is_resting("hot", 900)
    assert not known.is_resting("hot", 1001)


def test_a_folder_that_works_for_long_begins_anew():
    """After half an hour without a failure nothing is known of it; a check earlier all is."""
    known = Relapses()
    for work in (relapses.FORGOTTEN_AFTER - 1, relapses.FORGOTTEN_AFTER):
        for _ in range(3):
            known.note("hot", ROOM)
        for _ in range(work):
            known.note_work("hot")
        known.note("hot", ROOM)
        is_known = work < relapses.FORGOTTEN_AFTER
        assert rests(known) == (relapses.LONGEST if is_known else 0)
        known.forget("hot")


def test_folders_rest_apart():
    """One that fails holds up no other."""
    known = Relapses()
    for _ in range(3):
        known.note("hot", ROOM)

    assert not known.is_resting("other", ROOM)
