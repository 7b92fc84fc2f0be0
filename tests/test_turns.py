"""Lines that are served in turns."""

from hypothesis import given
from hypothesis import strategies as st

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


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.integers(0, 9)), max_size=20),
    st.sets(st.integers(0, 19)),
)
def test_what_is_removed_was_never_there(things: list[tuple[str, int, int]], gone: set[int]):
    """The others come in the same order, whatever is removed."""
    whole, without = Turns[str](), Turns[str]()
    for number, (folder, owner, rank) in enumerate(things):
        whole.put(str(number), folder=folder, owner=owner, rank=(rank,))
        if number not in gone:
            without.put(str(number), folder=folder, owner=owner, rank=(rank,))
    whole.remove(lambda thing: int(thing) in gone)

    assert len(whole) == len(without)
    left, expected = taken(whole), taken(without)
    for line in {one[:2] for one in things}:  # folders may take turns in another order

        def of_line(found: list[str], line: tuple[str, int] = line) -> list[str]:
            return [one for one in found if things[int(one)][:2] == line]

        assert of_line(left) == of_line(expected)
