"""Lines that are served in turns."""

from daemon.turns import Turns


def taken(turns: Turns[str]) -> list[str]:
    """Everything, in the order in which it is taken."""
    things = []
    while (thing := turns.take()) is not None:
        things.append(thing)
    return things


def test_folders_take_turns():
    """A folder with one thing waits for one of each other."""
    turns: Turns[str] = Turns()
    for number in range(3):
        turns.put(f"a{number}", folder="a", owner=0, rank=(number,))
    turns.put("b0", folder="b", owner=0, rank=(99,))
    turns.put("c0", folder="c", owner=0, rank=(98,))

    assert taken(turns) == ["a0", "b0", "c0", "a1", "a2"]


def test_owners_take_turns_within_a_folder():
    """A second folder has as many turns as the first, whose owners share its own."""
    turns: Turns[str] = Turns()
    for number in range(2):
        turns.put(f"ann{number}", folder="a", owner=1, rank=(number,))
        turns.put(f"bob{number}", folder="a", owner=2, rank=(number,))
        turns.put(f"b{number}", folder="b", owner=1, rank=(number,))

    assert taken(turns) == ["ann0", "b0", "bob0", "b1", "ann1", "bob1"]


def test_one_owners_things_go_by_rank():
    """Things themselves are never compared."""
    turns: Turns[str] = Turns()
    for rank in (3, 1, 2, 1):
        turns.put(str(rank), folder="a", owner=0, rank=(rank,))

    assert taken(turns) == ["1", "1", "2", "3"]


def test_turns_go_on_where_they_stopped():
    """A line that is filled again does not come first."""
    turns: Turns[str] = Turns()
    turns.put("a0", folder="a", owner=0, rank=(0,))
    turns.put("b0", folder="b", owner=0, rank=(0,))
    first = turns.take()
    turns.put("a1", folder="a", owner=0, rank=(1,))

    assert [first, *taken(turns)] == ["a0", "b0", "a1"]
    assert len(turns) == 0


def test_what_waits_can_be_looked_at_and_forgotten():
    """Looking takes nothing."""
    turns: Turns[str] = Turns()
    turns.put("x", folder="a", owner=0, rank=(0,))
    turns.put("y", folder="b", owner=1, rank=(0,))
    seen = sorted(turns)
    turns.clear()

    assert seen == ["x", "y"]
    assert (len(turns), turns.take()) == (0, None)
