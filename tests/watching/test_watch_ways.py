"""Every way in which a picture gets into a hot folder, told by real events."""

import os
import resource
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import Blame
from daemon.jobs import Failed, Outcome, Task
from tests.service.service_kit import copy_out
from tests.watching.watch_kit import Live

pytestmark = pytest.mark.timeout(300)  # conditions are waited for, patiently
MakeLive = Callable[..., Live]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeLive]:
    """Makes services that rely on events alone, and ends them."""
    made: list[Live] = []

    def make(**settings: Any) -> Live:  # Any: fields of Live
        live = Live(tmp_path, **settings)
        made.append(live)
        live.rely_on_events()
        return live

    yield make
    for live in made:
        live.stop()


# --- one file ----------------------------------------------------------------------------------


def test_written_slowly_and_closed(make: MakeLive) -> None:
    """Every pause of the writer is shorter than `settle_s`: one result, of the whole file."""
    live = make(folder={"settle_s": 8.0})  # a close shortens the wait
    with (live.hot / "a.jpg").open("wb", buffering=0) as writer:
        for number in range(8):
            writer.write(b"%d" % number)
            live.pause(0.5)
        taken_early = live.has_done(1)
    came = live.until(lambda: live.has_done(1))

    assert (taken_early, came) == (False, True)
    assert live.results() == {"a.png": b"01234567"}
    assert live.found_by == {"event": 1}


def test_moved_in(make: MakeLive) -> None:
    """A rename into place is whole by convention."""
    live = make()
    (live.elsewhere / "a.jpg").write_bytes(b"a")
    (live.elsewhere / "a.jpg").rename(live.hot / "a.jpg")

    assert live.until(lambda: live.has_done(1))
    assert (live.results(), live.left()) == ({"a.png": b"a"}, [])


def test_moved_within(make: MakeLive) -> None:
    """Before it has settled: the old name is forgotten, and the picture comes out once."""
    live = make(folder={"settle_s": 8.0})
    for name in ("a", "b"):
        (live.hot / name).mkdir()
    with (live.hot / "a/x.jpg").open("wb", buffering=0) as writer:
        writer.write(b"x")
        seen = live.until(lambda: len(live.service.parts.intake.settling) == 1)
        (live.hot / "a/x.jpg").rename(live.hot / "b/y.jpg")
    came = live.until(lambda: live.has_done(1))
    live.skip(10)
    live.pause(1)

    assert (seen, came) == (True, True)
    assert live.results() == {"b/y.png": b"x"}


def test_hard_linked(make: MakeLive) -> None:
    """Nobody ever closes or moves it: `created` is the only event."""
    live = make()
    (live.elsewhere / "a.jpg").write_bytes(b"a")
    os.link(live.elsewhere / "a.jpg", live.hot / "a.jpg")

    assert live.until(lambda: live.has_done(1))
    assert live.results() == {"a.png": b"a"}
    assert (live.elsewhere / "a.jpg").read_bytes() == b"a"


def test_moved_out_before_it_has_settled(make: MakeLive) -> None:
    """Its owner thought better of it: nothing is left of it, not even a failure."""
    live = make(folder={"settle_s": 8.0})
    with (live.hot / "a.jpg").open("wb", buffering=0) as writer:
        writer.write(b"a")
        seen = live.until(lambda: len(live.service.parts.intake.settling) == 1)
        (live.hot / "a.jpg").rename(live.elsewhere / "a.jpg")
    live.skip(10)
    live.pause(1)

    assert seen
    assert live.service.parts.records.counts() == {}
    assert len(live.service.parts.intake.settling) == 0


def test_rewritten_while_it_settles(make: MakeLive) -> None:
    """What counts is the last version, once, although the first writer never closes the file."""
    live = make(folder={"settle_s": 8.0, "defer_s": 15.0})  # so long an open file is held back
    with (live.hot / "a.jpg").open("wb", buffering=0) as writer:
        writer.write(b"one")
        live.pause(0.5)
        writer.seek(0)
        writer.write(b"the second, which is longer")
        live.pause(0.5)
        (live.hot / "a.jpg").write_bytes(b"the third")
        came = live.until(lambda: live.has_done(1))
        live.pause(1)

    assert came
    assert live.results() == {"a.png": b"the third"}


def test_renamed_over_a_placeholder(make: MakeLive) -> None:
    """As browsers do: an empty file of the name, a hidden download, a rename over it."""
    live = make()
    (live.hot / "a.jpg").touch()
    (live.hot / "a.jpg.part").write_bytes(b"whole")
    live.pause(1)
    (live.hot / "a.jpg.part").rename(live.hot / "a.jpg")
    came = live.until(lambda: live.has_done(1))
    live.pause(1)

    assert came
    assert live.results() == {"a.png": b"whole"}


@pytest.mark.slow
def test_writer_that_pauses_longer_than_we_wait(make: MakeLive) -> None:
    """Taken half, deferred as it cannot be decoded, taken again when whole; never quarantined."""
    tried: list[bytes] = []

    def decode(task: Task) -> Outcome:
        tried.append(task.source.read_bytes())
        if tried[-1] != b"first second":
            return Failed(Blame.FILE, "cannot be decoded")
        return copy_out(task)

    live = make(work=decode, folder={"defer_s": 60.0})
    live.service.parts.intake.writers.ask = lambda path: False  # as on a share: nobody can tell
    with (live.hot / "a.jpg").open("wb", buffering=0) as writer:
        writer.write(b"first ")
        was_tried = live.until(lambda: len(tried) >= 2)
        early = live.quarantined()
        writer.write(b"second")
    came = live.until(lambda: live.has_done(1))

    assert (was_tried, early, came) == (True, [], True)
    assert tried[0] == b"first "
    assert (live.results(), live.quarantined()) == ({"a.png": b"first second"}, [])


def test_same_name_again_with_new_content(make: MakeLive) -> None:
    """The first is still in work: both results exist."""
    live = make(is_held=True)
    (live.hot / "a.jpg").write_bytes(b"one")
    live.until(lambda: len(live.engine.held) == 1)
    (live.hot / "a.jpg").write_bytes(b"two")
    live.until(lambda: len(live.engine.held) == 2)
    live.engine.run_held()

    assert live.until(lambda: live.has_done(2))
    assert sorted(live.results().values()) == [b"one", b"two"]


def test_changed_after_it_was_claimed(make: MakeLive) -> None:
    """The writer kept its descriptor through our rename: what it added is in the result."""
    live = make(is_held=True)
    live.service.parts.intake.writers.ask = lambda path: False  # as on a share: nobody can tell
    with (live.hot / "a.jpg").open("wb", buffering=0) as writer:
        writer.write(b"one")
        claimed = live.until(lambda: len(live.engine.held) == 1)
        writer.write(b" and more")
    live.engine.run_held()
    live.engine.is_held = False
    came = live.until(lambda: live.has_done(1))
    live.pause(1)

    originals = [path.read_bytes() for path in live.base.glob("outputs/*/originals/*")]
    assert (claimed, came) == (True, True)
    assert live.results() == {"a.png": b"one and more"}
    assert originals == [b"one and more"]


def test_changed_while_it_was_read(make: MakeLive, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result of the old version is not published: the archive holds the new one."""
    late: list[bytes] = [b" and more"]

    def read_then_change(task: Task) -> Outcome:
        done = copy_out(task)
        while late:
            writer.write(late.pop())
        return done

    live = make(work=read_then_change)
    live.service.parts.intake.writers.ask = lambda path: False  # as on a share: nobody can tell
    monkeypatch.setattr("daemon.watching.writers.has_writer", lambda path: False)
    with (live.hot / "a.jpg").open("wb", buffering=0) as writer:
        writer.write(b"one")
        came = live.until(lambda: live.has_done(1))
    live.pause(1)

    assert came
    assert live.results() == {"a.png": b"one and more"}


# --- trees -------------------------------------------------------------------------------------


def plant(top: Path, *, folders: int, files: int) -> dict[str, bytes]:
    """A tree of files with a content of their own; what its results will be, by path."""
    expected = {}
    for folder in range(folders):
        inner = top / f"{folder % 4}" / f"{folder}"
        inner.mkdir(parents=True)
        for number in range(files):
            content = b"%d %d" % (folder, number)
            (inner / f"{number}.jpg").write_bytes(content)
            result = (inner / f"{number}.png").relative_to(top.parent).as_posix()
            expected[result] = content
    return expected


@pytest.mark.slow
def test_tree_of_800_files_copied(make: MakeLive) -> None:
    """`cp -r`: folders and files race with the watches that are set on them; none is missed."""
    live = make()
    expected = plant(live.elsewhere / "tree", folders=40, files=20)
    with subprocess.Popen(["cp", "-r", live.elsewhere / "tree", live.hot]) as copying:
        came = live.until(lambda: live.has_done(800))
    live.pause(1)

    assert (came, copying.returncode) == (True, 0)
    assert live.results() == expected
    assert live.found_by == {"event": 800}


def test_tree_moved_in_and_a_late_file(make: MakeLive) -> None:
    """One event for all of it; its folders are watched from then on."""
    live = make()
    expected = plant(live.elsewhere / "tree", folders=4, files=5)
    (live.elsewhere / "tree").rename(live.hot / "tree")
    came = live.until(lambda: live.has_done(20))
    (live.hot / "tree/0/0/late.jpg").write_bytes(b"late")
    came_late = live.until(lambda: live.has_done(21))

    assert (came, came_late) == (True, True)
    assert live.results() == expected | {"tree/0/0/late.png": b"late"}


def test_tree_renamed_within(make: MakeLive) -> None:
    """While its files settle: they come out once each, under their new names."""
    live = make(folder={"settle_s": 8.0})
    plant(live.elsewhere / "tree", folders=4, files=5)
    # Links, for nobody closes them: they wait for the whole of `settle_s`.
    subprocess.run(["cp", "-rl", live.elsewhere / "tree", live.hot], check=True)
    seen = live.until(lambda: len(live.service.parts.intake.settling) == 20)
    (live.hot / "tree").rename(live.hot / "wood")
    came = live.until(lambda: live.has_done(20))
    (live.hot / "wood/0/0/late.jpg").write_bytes(b"late")
    came_late = live.until(lambda: live.has_done(21))
    live.pause(1)

    assert (seen, came, came_late) == (True, True, True)
    assert {name.split("/")[0] for name in live.results()} == {"wood"}
    assert len(live.results()) == 21


def test_deep_path_made_at_once(make: MakeLive) -> None:
    """`mkdir -p` and a file before any watch can be set on the folders."""
    live = make()
    deep = live.hot.joinpath(*"abcdefgh")
    deep.mkdir(parents=True)
    (deep / "x.jpg").write_bytes(b"x")

    assert live.until(lambda: live.has_done(1))
    assert live.results() == {"a/b/c/d/e/f/g/h/x.png": b"x"}


def test_folder_that_is_not_recursive(make: MakeLive) -> None:
    """Its own pictures are heard of; a tree in it is left alone."""
    live = make(folder={"recursive": False})
    (live.hot / "deep").mkdir()
    (live.hot / "deep/a.jpg").write_bytes(b"a")
    (live.hot / "b.jpg").write_bytes(b"b")
    came = live.until(lambda: live.has_done(1))
    live.pause(1)

    assert came
    assert (live.results(), live.left()) == ({"b.png": b"b"}, ["deep/a.jpg"])


def test_kept_originals(make: MakeLive) -> None:
    """`originals: keep`: heard of, done once, and nothing of ours is written there."""
    live = make(folder={"originals": "keep"})
    (live.hot / "a.jpg").write_bytes(b"a")
    came = live.until(lambda: live.has_done(1))
    live.pause(1)

    assert came
    assert live.results() == {"a.png": b"a"}
    assert [path.name for path in live.hot.iterdir()] == ["a.jpg"]


# --- very many ---------------------------------------------------------------------------------


def pour(folder: Path, number: int) -> None:
    """Write many tiny files as fast as the machine can."""
    for index in range(number):
        (folder / f"{index:05}.jpg").write_bytes(b"%d" % index)


@pytest.fixture
def quick_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, if there is room: a hundred thousand fsyncs of a disk prove no more."""
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and shutil.disk_usage(memory).free > 500_000_000
    if not has_room or not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("number", [5000, pytest.param(20_000, marks=pytest.mark.whole)])
def test_thousands_of_files_at_once(quick_disk: Path, number: int) -> None:
    """Nothing is lost, none comes twice, and memory grows by a few kilobytes a file at most."""
    live = Live(quick_disk)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    pouring = threading.Thread(target=pour, args=(live.hot, number))
    pouring.start()
    came = live.until(lambda: live.has_done(number), patience_s=1500)
    pouring.join()
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024
    told = f"after {time.monotonic() - began:.0f} s and {grown_mb:.0f} MB: {dict(live.found_by)}"
    results, left, polled = live.results(), live.left(), live.polled
    live.stop()

    print(told)  # noqa: T201  # for whoever measures with `-s`
    assert came, told
    assert sorted(results.values()) == sorted(b"%d" % index for index in range(number))
    assert (left, polled) == ([], {})
    assert grown_mb < 200, told
