"""Whether a folder's events are relied upon: by its file system, and by what was found."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.disk import mounts
from daemon.watching.watch import Watcher
from daemon.watching.watch_health import MIN_EVIDENCE, WatchHealth, why_polled
from tests.samples import make_folder
from tests.watching.watch_kit import Live

pytestmark = pytest.mark.timeout(300)  # conditions are waited for, patiently
LOCAL = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
NETWORK = LOCAL + "61 22 0:48 / {} rw,relatime shared:31 - nfs4 nas:/export rw,vers=4.2\n"


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The kernel's table of mounts, to be written by the test."""
    path = tmp_path / "mountinfo"
    path.write_text(LOCAL)
    monkeypatch.setattr(mounts, "TABLE", path)
    return path


@pytest.fixture
def watch_health(tmp_path: Path) -> Iterator[WatchHealth]:
    """A hearing of a folder that exists; it is never started, so nothing sets a watch."""
    (tmp_path / "hot").mkdir()
    watch_health = WatchHealth(Watcher(lambda message: None))
    yield watch_health
    watch_health.stop()


# --- by the file system --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("watch", "is_network", "expected"),
    [
        ("auto", False, ""),
        ("auto", True, "nfs4 tells nothing of what other machines write"),
        ("inotify", True, ""),
        ("polling", False, "set so (folders[].watch)"),
    ],
)
def test_silence(tmp_path: Path, table: Path, watch: str, is_network: bool, expected: str) -> None:
    """`auto` polls a share, `inotify` and `polling` are obeyed."""
    folder = make_folder(tmp_path, watch=watch)
    table.write_text(NETWORK.format(tmp_path) if is_network else LOCAL)

    assert expected == why_polled(folder)


def test_share_is_polled_and_told_once(
    tmp_path: Path, table: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What lies on it is found every five seconds; mounted as a local disk it is watched."""
    caplog.set_level("INFO")
    table.write_text(NETWORK.format(tmp_path))
    live = Live(tmp_path)
    try:
        reason = "nfs4 tells nothing of what other machines write"
        assert live.polled == {"hot": reason}
        (live.hot / "a.jpg").write_bytes(b"a")
        live.skip(6)
        assert live.until(lambda: live.has_done(1))
        assert live.found_by == {"sweep": 1}
        assert caplog.text.count(f"is polled every 5 s: {reason}") == 1

        table.write_text(LOCAL)
        live.skip(6)
        assert live.until(lambda: not live.polled)
        live.rely_on_events()
        (live.hot / "b.jpg").write_bytes(b"b")
        assert live.until(lambda: live.has_done(2))
        assert live.found_by == {"sweep": 1, "event": 1}
    finally:
        live.stop()


# --- by what was found ---------------------------------------------------------------------------


def test_many_pictures_without_an_event(tmp_path: Path, watch_health: WatchHealth) -> None:
    """However slowly they came."""
    folder = make_folder(tmp_path)
    for missed in range(MIN_EVIDENCE):
        watch_health.compare_with_sweeps(folder, hinted=0, missed=missed)
    before = watch_health.is_polled(folder)
    watch_health.compare_with_sweeps(folder, hinted=0, missed=MIN_EVIDENCE)

    assert (before, watch_health.is_polled(folder)) == (False, True)


def test_one_event_vouches_for_the_watch(tmp_path: Path, watch_health: WatchHealth) -> None:
    """A sweep may come before the messages of a burst have been read."""
    folder = make_folder(tmp_path)
    watch_health.compare_with_sweeps(folder, hinted=0, missed=0)
    watch_health.compare_with_sweeps(folder, hinted=1, missed=MIN_EVIDENCE * 10)
    watch_health.compare_with_sweeps(folder, hinted=1, missed=MIN_EVIDENCE * 10 + MIN_EVIDENCE - 1)

    assert not watch_health.is_polled(folder)


def test_an_overflow_excuses_what_the_next_sweep_finds(
    tmp_path: Path, watch_health: WatchHealth
) -> None:
    """The kernel has told that it did not tell; later silence counts again."""
    folder = make_folder(tmp_path)
    watch_health.compare_with_sweeps(folder, hinted=0, missed=0)
    watch_health.note_lost_events(folder.name)
    watch_health.compare_with_sweeps(
        folder, hinted=0, missed=0
    )  # the sweep that the overflow brings
    watch_health.compare_with_sweeps(
        folder, hinted=0, missed=MIN_EVIDENCE
    )  # the next one weighs what that has found
    excused = watch_health.is_polled(folder)
    watch_health.compare_with_sweeps(folder, hinted=0, missed=2 * MIN_EVIDENCE)

    assert (excused, watch_health.is_polled(folder)) == (False, True)


def test_many_events_bring_the_watch_back(tmp_path: Path, watch_health: WatchHealth) -> None:
    """But only if no other picture comes without one: a share has local writers, too."""
    folder = make_folder(tmp_path)
    watch_health.compare_with_sweeps(folder, hinted=0, missed=0)
    watch_health.compare_with_sweeps(folder, hinted=0, missed=MIN_EVIDENCE)
    watch_health.compare_with_sweeps(folder, hinted=MIN_EVIDENCE, missed=MIN_EVIDENCE + 1)
    still = watch_health.is_polled(folder)
    watch_health.compare_with_sweeps(folder, hinted=2 * MIN_EVIDENCE, missed=MIN_EVIDENCE + 1)

    assert (still, watch_health.is_polled(folder)) == (True, False)


def test_canary_does_not_vouch_for_other_machines(
    tmp_path: Path, watch_health: WatchHealth
) -> None:
    """It is touched on this machine."""
    folder = make_folder(tmp_path)
    watch_health.update_watch(folder, monotonic=0.0)
    watch_health.note_event(folder.name)
    for missed in (0, 0, MIN_EVIDENCE):
        watch_health.compare_with_sweeps(folder, hinted=0, missed=missed)
    watch_health.update_watch(folder, monotonic=60.0)
    is_waited_for = "hot" in watch_health.canary.touches
    watch_health.note_event(folder.name)

    assert is_waited_for
    assert watch_health.is_polled(folder)


def test_first_sweep_of_a_new_watch_is_no_evidence(
    tmp_path: Path, watch_health: WatchHealth
) -> None:
    """What it finds came before: a disk was mounted that holds many pictures."""
    folder = make_folder(tmp_path)
    watch_health.compare_with_sweeps(folder, hinted=0, missed=0)
    watch_health.update_watch(folder, monotonic=0.0)
    watch_health.compare_with_sweeps(folder, hinted=0, missed=MIN_EVIDENCE * 10)
    watch_health.compare_with_sweeps(folder, hinted=0, missed=MIN_EVIDENCE * 11 - 1)

    assert not watch_health.is_polled(folder)


def test_single_look_polls_nothing(tmp_path: Path) -> None:
    """`once` and `batch` watch nothing, so everything they find, they find by looking."""
    watch_health = WatchHealth(None)
    folder = make_folder(tmp_path, watch="polling")
    watch_health.compare_with_sweeps(folder, hinted=0, missed=0)
    watch_health.compare_with_sweeps(folder, hinted=0, missed=MIN_EVIDENCE)
    watch_health.update_watch(folder, monotonic=0.0)

    assert watch_health.reasons == {}
    assert watch_health.check([folder], monotonic=100.0, is_idle=True) == []


def test_pictures_of_a_rest_are_no_misses(tmp_path: Path) -> None:
    """Their events came and were left alone, as the folder stood by."""
    live = Live(tmp_path)
    try:
        live.service.parts.standby.enter(live.hot_folder, "disk full")
        for number in range(2 * MIN_EVIDENCE):
            (live.hot / f"{number}.jpg").write_bytes(b"%d" % number)
        intake = live.service.parts.intake
        assert live.until(lambda: intake.hinted["hot"] >= 4 * MIN_EVIDENCE)  # created and closed
        assert live.found_by == {}
        for seconds in (11, 61, 61):
            live.skip(seconds)
            live.pause(0.5)

        assert live.until(lambda: live.has_done(2 * MIN_EVIDENCE))
        assert live.found_by == {"sweep": 2 * MIN_EVIDENCE}
        assert live.polled == {}
    finally:
        live.stop()
