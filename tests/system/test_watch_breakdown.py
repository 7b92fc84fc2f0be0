"""Events that really cease to come: overflow, a library's dead thread, replaced folders."""

import logging
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import Blame
from daemon.jobs import Failed, Outcome, Task
from daemon.messages import EventsLost, Message
from daemon.watching.watch import Watcher
from tests.service.service_kit import copy_out
from tests.watching.watch_kit import Live

pytestmark = pytest.mark.timeout(300)  # conditions are waited for, patiently
MakeLive = Callable[..., Live]
QUEUED_EVENTS = Path("/proc/sys/fs/inotify/max_queued_events")


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeLive]:
    """Makes live services and ends them."""
    made: list[Live] = []

    def make(**settings: Any) -> Live:  # Any: fields of Live
        made.append(Live(tmp_path, **settings))
        return made[-1]

    yield make
    for live in made:
        live.stop()


def hears(live: Live, name: str = "heard.jpg") -> bool:
    """A new picture is found, and by an event."""
    live.rely_on_events()
    before, done = live.found_by["event"], live.service.parts.counters.done
    (live.hot / name).write_bytes(name.encode())
    return live.until(lambda: live.has_done(done + 1)) and live.found_by["event"] == before + 1


# --- lost events -------------------------------------------------------------------------------


def test_overflow(make: MakeLive, caplog: pytest.LogCaptureFixture) -> None:
    """The kernel's queue really overflows: a sweep follows at once and finds what was not told."""
    limit = int(QUEUED_EVENTS.read_text())
    if limit > 100_000:
        pytest.skip(f"{QUEUED_EVENTS} is {limit}: filling it takes too long")
    live = make()
    churned = [live.hot / ".one", live.hot / ".two"]  # ignored names: events and no pictures
    observer = live.watcher.observer
    assert observer is not None
    with observer._inotify_fd._lock:  # the reader stands still meanwhile, as on a busy machine
        for number in range(limit + 5000):
            os.close(os.open(churned[number % 2], os.O_WRONLY | os.O_CREAT))
        (live.hot / "new").mkdir()
        for number in range(50):
            (live.hot / "new" / f"{number}.jpg").write_bytes(b"%d" % number)
    began = time.monotonic()
    came = live.until(lambda: live.has_done(50))
    took_s = time.monotonic() - began

    assert came
    assert live.found_by == {"sweep": 50}
    assert took_s < 50  # the next sweep by the clock comes after 60 s
    assert "overflowed; filesystem events were lost; looking at all of it" in caplog.text
    assert hears(live, "new/late.jpg")
    assert live.polled == {}


def test_overflow_is_heard_whatever_is_logged() -> None:
    """`log.level: error` hides warnings from the user, not from us."""
    heard: list[Message] = []
    watcher = Watcher(heard.append)
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    watcher.start()
    watcher.listener.report = lambda text: heard.append(EventsLost("hot", text))
    try:
        logging.getLogger("watchdog.observers.inotify_c").warning("Inotify queue overflowed")
    finally:
        watcher.stop()
        root.setLevel(level)

    assert heard == [EventsLost("hot", "Inotify queue overflowed")]


# --- a library's dead thread ---------------------------------------------------------------------


def watch_of(live: Live, path: Path) -> int | None:
    """The kernel's number for a watch, as watchdog knows it."""
    held = live.watcher.watched_paths(live.watcher.watched["hot"])
    return held[0].get(os.fsencode(path))


def deafen(live: Live) -> None:
    """Make watchdog 7.1.0 stumble: its reading thread ends with a KeyError and tells nobody.

    A folder is moved away, another of its name comes and goes, the first is deleted.
    """
    observer, here, away = live.watcher.observer, live.hot / "a", live.elsewhere / "a"
    assert observer is not None
    here.mkdir()
    assert live.until(lambda: watch_of(live, here) is not None)
    first = watch_of(live, here)
    here.rename(away)
    here.mkdir()
    assert live.until(lambda: watch_of(live, here) != first)
    here.rmdir()
    assert live.until(lambda: watch_of(live, here) is None)
    away.rmdir()
    if not live.until(lambda: not observer._inotify_fd.is_alive(), patience_s=20):
        pytest.skip("this version of watchdog survives that")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_canary_finds_that_nothing_is_heard(
    make: MakeLive, caplog: pytest.LogCaptureFixture
) -> None:
    """Every thread that watchdog shows is alive, and no event comes: warned once, then mended."""
    live = make()
    live.pause(1)  # the first song is heard
    deafen(live)
    assert not live.watcher.is_broken(live.hot_folder)
    (live.hot / "missed.jpg").write_bytes(b"missed")
    live.pause(2)
    assert live.found_by == {}

    live.skip(60)  # a sweep: the canary sings
    live.skip(11)  # and sings again
    live.skip(11)  # and is not heard
    came = live.until(lambda: live.has_done(1))
    is_mended = live.until(lambda: not live.polled)

    assert (came, is_mended) == (True, True)
    assert live.found_by == {"sweep": 1}
    assert caplog.text.count("is polled every 5 s: no event came of a file that we touched") == 1
    assert caplog.text.count("folder hot is watched again: events arrive") == 1
    assert hears(live)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_kept_originals_are_heard_again(make: MakeLive) -> None:
    """No canary sings in a folder that we do not write to: the thread itself is looked at."""
    live = make(folder={"originals": "keep"})
    deafen(live)
    live.skip(6)

    assert hears(live)
    assert sorted(path.name for path in live.hot.iterdir()) == ["heard.jpg"]


@pytest.mark.parametrize("is_recursive", [True, False])
def test_canary_is_heard_and_leaves_no_trace(make: MakeLive, is_recursive: bool) -> None:
    """Its event settles no file, wakes nobody for long, and writes nothing."""
    live = make(folder={"recursive": is_recursive})
    canary = live.hot / ".cvunetd" / "canary"
    was_heard = live.until(lambda: not live.service.parts.watch_health.canary.touches)
    written = canary.stat().st_ctime_ns
    live.skip(60)
    was_heard_again = live.until(lambda: not live.service.parts.watch_health.canary.touches)

    assert (was_heard, was_heard_again) == (True, True)
    assert (canary.stat().st_ctime_ns, canary.stat().st_size) == (written, 0)
    assert len(live.service.parts.intake.settling) == 0
    assert live.service.parts.intake.hinted == {}
    assert live.polled == {}
    assert live.service.wait_s() > 0.5


def test_our_own_folder_is_deleted(make: MakeLive) -> None:
    """Somebody tidies up `.cvunetd`: it is made again, and nothing is polled for it."""
    live = make(folder={"recursive": False})
    live.pause(1)
    shutil.rmtree(live.hot / ".cvunetd")
    for seconds in (60, 11, 11, 6):
        live.skip(seconds)
        assert live.until(lambda: not live.service.parts.watch_health.canary.touches)

    assert live.polled == {}
    assert hears(live)


# --- another folder under the same path ----------------------------------------------------------


@pytest.mark.parametrize("is_noticed", [True, False])
def test_deleted_and_recreated(make: MakeLive, is_noticed: bool) -> None:
    """With and without a rest between: the new folder is watched, and what it holds is found."""
    live = make()
    (live.hot / "a.jpg").write_bytes(b"a")
    live.service.tick(0.2)
    shutil.rmtree(live.hot)
    if is_noticed:
        live.skip(11)
        assert "is not there (deleted, renamed or not mounted)" in live.standby["hot"]
    live.hot.mkdir()
    (live.hot / "b.jpg").write_bytes(b"b")
    live.skip(11)
    came = live.until(lambda: live.has_done(1))

    assert came
    assert live.results() == {"b.png": b"b"}
    assert (live.standby, live.polled, live.quarantined()) == ({}, {}, [])
    assert hears(live)


def test_renamed_away_and_back(make: MakeLive) -> None:
    """The picture in work is neither lost nor blamed, and what came meanwhile is found."""

    def work(task: Task) -> Outcome:
        return copy_out(task) if task.source.exists() else Failed(Blame.FILE, "vanished")

    live = make(work=work, is_held=True)
    (live.hot / "a.jpg").write_bytes(b"a")
    assert live.until(lambda: bool(live.engine.held))
    live.hot.rename(live.elsewhere / "hot")
    live.engine.run_held()
    live.pause(1)
    live.skip(11)
    rested = dict(live.standby)
    (live.elsewhere / "hot" / "b.jpg").write_bytes(b"b")
    (live.elsewhere / "hot").rename(live.hot)
    live.engine.is_held = False
    live.skip(11)
    came = live.until(lambda: live.has_done(2))

    assert "hot" in rested
    assert came
    assert live.results() == {"a.png": b"a", "b.png": b"b"}
    assert (live.standby, live.quarantined()) == ({}, [])
    assert hears(live)


def test_another_folder_is_renamed_into_place(make: MakeLive) -> None:
    """At once, as by a deployment: the watch leaves the old folder for the new one."""
    live = make()
    (live.elsewhere / "fresh").mkdir()
    (live.elsewhere / "fresh" / "b.jpg").write_bytes(b"b")
    live.hot.rename(live.elsewhere / "stale")
    (live.elsewhere / "fresh").rename(live.hot)
    live.skip(6)
    came = live.until(lambda: live.has_done(1))
    (live.elsewhere / "stale" / "c.jpg").write_bytes(b"c")

    assert came
    assert hears(live)
    assert sorted(live.results()) == ["b.png", "heard.png"]


# --- mounts --------------------------------------------------------------------------------------


def mount(*arguments: str | Path) -> None:
    """As root."""
    subprocess.run(["mount", *map(str, arguments)], check=True)


@pytest.fixture
def mounts() -> Iterator[list[Path]]:
    """Mount points to be cleared, the last first."""
    points: list[Path] = []
    yield points
    for point in reversed(points):
        while point.is_mount():
            subprocess.run(["umount", point], check=True)


@pytest.mark.root
@pytest.mark.parametrize("is_noticed", [True, False])
def test_unmounted_and_mounted_again(
    tmp_path: Path, make: MakeLive, mounts: list[Path], is_noticed: bool
) -> None:
    """The same numbers of device and inode, perhaps: the watch is new all the same."""
    hot = tmp_path / "hot"
    hot.mkdir()
    mounts.append(hot)
    mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", hot)
    live = make()
    assert hears(live, "before.jpg")
    live.service.next_sweep["hot"] = 0.0
    live.pause(1)
    subprocess.run(["umount", hot], check=True)
    (hot / "under.jpg").write_bytes(b"into the mount point")
    if is_noticed:
        live.skip(11)
        live.pause(1)
        assert "is not mounted any more" in live.standby["hot"]
    mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", hot)
    (hot / "meanwhile.jpg").write_bytes(b"meanwhile")
    live.skip(11)
    came = live.until(lambda: live.has_done(2), patience_s=40)  # before the next sweep by the clock

    assert came
    assert hears(live, "after.jpg")
    assert sorted(live.results()) == ["after.png", "before.png", "meanwhile.png"]
    assert (live.standby, live.polled, live.quarantined()) == ({}, {}, [])
    live.stop()
    subprocess.run(["umount", hot], check=True)
    assert (hot / "under.jpg").exists()


@pytest.mark.root
def test_pictures_that_no_event_tells_of(
    tmp_path: Path, make: MakeLive, mounts: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    """What is written below an overlay raises no event in it, as on a share: warned and polled."""
    parts = [tmp_path / name for name in ("lower", "upper", "work", "merged")]
    for part in parts:
        part.mkdir()
    lower, upper, work, merged = parts
    (upper / "hot").mkdir()
    mounts.append(merged)
    mount(
        "-t",
        "overlay",
        "overlay",
        "-o",
        f"lowerdir={lower},upperdir={upper},workdir={work}",
        merged,
    )
    live = make(folder={"path": str(merged / "hot"), "recursive": False})
    live.pause(1)
    for number in range(12):
        (upper / "hot" / f"{number}.jpg").write_bytes(b"%d" % number)
    live.pause(1)
    heard = dict(live.found_by)
    live.skip(61)
    came = live.until(lambda: live.has_done(12))
    live.skip(61)

    assert (heard, came) == ({}, True)
    assert live.found_by == {"sweep": 12}
    assert live.polled == {"hot": "events do not arrive: 12 pictures came without one"}
    (upper / "hot" / "late.jpg").write_bytes(b"late")
    live.skip(6)
    assert live.until(lambda: live.has_done(13), patience_s=30)
    live.skip(301)
    live.pause(1)
    assert "hot" in live.polled  # the canary is heard, but proves nothing of others' files

    def write_here() -> bool:
        """Ten pictures on this machine; a sweep may see one before its event, so more than once."""
        done = live.service.parts.counters.done
        for number in range(10):
            (merged / "hot" / f"{done}-{number}.jpg").write_bytes(b"%d" % number)
        came = live.until(lambda: live.has_done(done + 10))
        live.skip(6)
        return came

    for _ in range(5):
        assert not live.polled or write_here()
    assert live.polled == {}
    live.stop()
