"""When a file is whole. Real files, a clock that is only an argument."""

import os
from pathlib import Path

import pytest

from daemon.disk import files
from daemon.jobs import Hint
from daemon.watching.settle import SettleTracker

SETTLE_S = 2.0
EMPTY_S = 120.0


class Bench:
    """A table of settling files in one folder, with the settings of most tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settle = SettleTracker(files.identity)

    def see(
        self,
        name: str,
        hint: Hint,
        now: float,
        *,
        content: bytes | None = b"x",
        folder: str = "hot",
    ) -> Path:
        """Write a file, unless ``content`` is None, and follow a hint at it."""
        path = self.folder / name
        if content is not None:
            path.write_bytes(content)
        self.settle.track(folder, path, hint, settle_s=SETTLE_S, empty_s=EMPTY_S, now=now)
        return path

    def ready(self, now: float, *, limit: int = 100) -> list[str]:
        """The names of files that are whole now."""
        return [settled.path.name for settled in self.settle.take_settled(now, limit=limit)]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A bench in an empty folder."""
    return Bench(tmp_path)


# --- how long ----------------------------------------------------------------------------------


def test_too_early(bench: Bench):
    """Nothing settles before the full wait is over."""
    bench.see("a", Hint.SWEEP, 100.0)

    assert bench.ready(101.999) == []


def test_full_wait(bench: Bench):
    """It settles when the wait is over, and leaves the table."""
    bench.see("a", Hint.SWEEP, 100.0)

    assert bench.ready(102.0) == ["a"]
    assert bench.ready(1000.0) == []
    assert len(bench.settle) == 0


@pytest.mark.parametrize("hint", [Hint.CLOSED, Hint.MOVED])
def test_close_and_move_shorten_the_wait(bench: Bench, hint: Hint):
    """The writer is most likely through."""
    bench.see("a", hint, 100.0)

    assert bench.ready(100.499) == []
    assert bench.ready(100.5) == ["a"]


@pytest.mark.parametrize("hint", [Hint.CREATED, Hint.SWEEP, Hint.STARTUP])
def test_other_hints_do_not_shorten_it(bench: Bench, hint: Hint):
    """A created file may be growing."""
    bench.see("a", hint, 100.0)

    assert bench.ready(101.9) == []


def test_shorter_settings_are_not_lengthened(bench: Bench):
    """The short wait is never longer than the configured one."""
    path = bench.folder / "a"
    path.write_bytes(b"x")
    bench.settle.track("hot", path, Hint.CLOSED, settle_s=0.1, empty_s=EMPTY_S, now=100.0)

    assert bench.ready(100.1) == ["a"]


def test_close_hastens_a_waiting_file(bench: Bench):
    """Created, then closed: the close counts."""
    bench.see("a", Hint.CREATED, 100.0)
    bench.see("a", Hint.CLOSED, 100.1, content=None)

    assert bench.ready(100.6) == ["a"]


def test_sweep_does_not_postpone(bench: Bench):
    """A folder that is swept every second settles all the same."""
    bench.see("a", Hint.CREATED, 100.0)
    bench.see("a", Hint.SWEEP, 101.0, content=None)
    bench.see("a", Hint.SWEEP, 101.9, content=None)

    assert bench.ready(102.0) == ["a"]


def test_sweep_does_not_take_back_a_close(bench: Bench):
    """The short wait stays short."""
    bench.see("a", Hint.CLOSED, 100.0)
    bench.see("a", Hint.SWEEP, 100.1, content=None)

    assert bench.ready(100.5) == ["a"]


def test_change_that_is_hinted_at_restarts_the_wait(bench: Bench):
    """From the moment at which we saw it."""
    bench.see("a", Hint.CREATED, 100.0)
    bench.see("a", Hint.SWEEP, 101.0, content=b"more")

    assert bench.ready(102.9) == []
    assert bench.ready(103.0) == ["a"]


def test_change_without_a_hint_restarts_the_wait(bench: Bench):
    """The last look decides, not the events."""
    path = bench.see("a", Hint.CREATED, 100.0)
    path.write_bytes(b"more")

    assert bench.ready(102.0) == []
    assert bench.ready(103.9) == []
    assert bench.ready(104.0) == ["a"]


def test_change_after_a_close_takes_the_full_wait(bench: Bench):
    """Some other writer is at work, and has not closed yet."""
    path = bench.see("a", Hint.CLOSED, 100.0)
    path.write_bytes(b"more")

    assert bench.ready(100.5) == []
    assert bench.ready(102.4) == []
    assert bench.ready(102.5) == ["a"]


def test_change_of_time_alone_counts(bench: Bench):
    """A program that sets times at its end is not through before."""
    path = bench.see("a", Hint.CREATED, 100.0)
    os.utime(path, (1, 1))

    assert bench.ready(102.0) == []


def test_replacement_of_same_size_and_time_counts(bench: Bench):
    """Another inode is another file."""
    path = bench.see("a", Hint.CREATED, 100.0)
    os.utime(path, (1, 1))
    bench.see("a", Hint.SWEEP, 100.0, content=None)
    other = bench.folder / "other"
    other.write_bytes(b"y")
    os.utime(other, (1, 1))
    other.replace(path)

    assert bench.ready(102.0) == []


def test_file_times_do_not_matter(bench: Bench):
    """A file from the future settles like any other: only the given clock counts."""
    path = bench.see("a", Hint.SWEEP, 0.0)
    os.utime(path, (9e9, 9e9))
    bench.see("a", Hint.SWEEP, 0.0, content=None)

    assert bench.ready(2.0) == ["a"]


# --- empty files -------------------------------------------------------------------------------


def test_empty_file_waits_longer(bench: Bench):
    """It may be a placeholder; a close does not shorten that."""
    bench.see("a", Hint.CLOSED, 100.0, content=b"")

    assert bench.ready(219.9) == []
    assert bench.ready(220.0) == ["a"]


def test_filled_placeholder_takes_the_usual_wait(bench: Bench):
    """From empty to full is a change."""
    bench.see("a", Hint.CREATED, 100.0, content=b"")
    bench.see("a", Hint.CLOSED, 110.0, content=b"x")

    assert bench.ready(110.5) == ["a"]


def test_file_emptied_while_it_settles_waits_longer(bench: Bench):
    """A writer that begins anew must not have its empty file taken."""
    path = bench.see("a", Hint.CREATED, 100.0)
    path.write_bytes(b"")

    assert bench.ready(102.0) == []
    assert bench.ready(221.9) == []
    assert bench.ready(222.0) == ["a"]


def test_placeholder_filled_without_a_hint(bench: Bench):
    """Seen at the last look: the usual wait, not the long one again."""
    path = bench.see("a", Hint.CREATED, 100.0, content=b"")
    path.write_bytes(b"x")

    assert bench.ready(220.0) == []
    assert bench.ready(222.0) == ["a"]


def test_content_is_told_from_placeholders(bench: Bench):
    """`once` waits for content, not for a placeholder."""
    bench.see("empty", Hint.CREATED, 100.0, content=b"")
    before = bench.settle.has_content()
    bench.see("full", Hint.CREATED, 100.0)

    assert (before, bench.settle.has_content()) == (False, True)


# --- what is no picture any more ---------------------------------------------------------------


def test_vanished_file_is_forgotten_at_the_last_look(bench: Bench):
    """Deleted while it settled."""
    bench.see("a", Hint.CREATED, 100.0).unlink()

    assert bench.ready(102.0) == []
    assert len(bench.settle) == 0


def test_vanished_file_is_forgotten_at_a_hint(bench: Bench):
    """A late event about a deleted file ends its entry."""
    bench.see("a", Hint.CREATED, 100.0).unlink()
    bench.see("a", Hint.CLOSED, 100.5, content=None)

    assert len(bench.settle) == 0


def test_file_that_comes_back_starts_anew(bench: Bench):
    """What the table held of its former life is stale."""
    path = bench.see("a", Hint.CREATED, 100.0)
    path.unlink()
    bench.see("a", Hint.CLOSED, 100.5, content=None)
    bench.see("a", Hint.CREATED, 101.0)

    assert bench.ready(102.0) == []
    assert bench.ready(103.0) == ["a"]


@pytest.mark.parametrize(
    "make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/etc/hosts")]
)
def test_only_regular_files_are_tracked(bench: Bench, make):
    """Folders, pipes and links are no pictures."""
    make(bench.folder / "a")
    bench.see("a", Hint.MOVED, 100.0, content=None)

    assert len(bench.settle) == 0


def test_file_replaced_by_a_link_is_forgotten(bench: Bench):
    """A link swapped in while it settled is not taken."""
    path = bench.see("a", Hint.CREATED, 100.0)
    path.unlink()
    path.symlink_to("/etc/hosts")

    assert bench.ready(102.0) == []


def test_a_file_that_changes_while_there_is_no_room_stands_in_line_once(bench: Bench):
    """A camera writes over its picture for days while the queue is full; then it is taken."""
    for second in range(100):
        bench.see("cam.jpg", Hint.CLOSED, 10.0 * second, content=b"x" * second + b"x")
        assert bench.ready(10.0 * second + 9, limit=0) == []
    in_line = len(bench.settle.whole)
    bench.see("cam.jpg", Hint.CLOSED, 1000.0, content=b"last")

    assert in_line == 1
    assert bench.ready(1000.1) == []
    assert bench.ready(1009.0) == ["cam.jpg"]
