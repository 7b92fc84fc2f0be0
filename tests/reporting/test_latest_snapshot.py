"""What monitors hear: does it go on, and would a picture be cut out?"""

import dataclasses

import pytest

from daemon.reporting.latest_snapshot import MAX_SILENCE_S, LatestSnapshot
from daemon.reporting.report import FolderState, Snapshot

FOLDER = FolderState("/hot", "/out", 0, None, 0, 0, {}, {})
SNAPSHOT = Snapshot(
    device="cpu",
    running=0,
    queued=0,
    settling=0,
    done=0,
    failed=0,
    found_by={},
    standby={},
    folders={"hot": FOLDER, "scans": FOLDER},
)


@pytest.fixture
def latest_snapshot() -> LatestSnapshot:
    """Nothing was posted."""
    return LatestSnapshot()


def answers(latest_snapshot: LatestSnapshot, monotonic: float) -> tuple[bool, bool]:
    """Alive and ready."""
    return latest_snapshot.liveness(monotonic).is_healthy, latest_snapshot.readiness(
        monotonic
    ).is_healthy


def test_model_that_loads(latest_snapshot: LatestSnapshot):
    """Alive however long it takes (systemd has a limit for that), and not ready."""
    assert answers(latest_snapshot, 1e9) == (True, False)
    assert latest_snapshot.readiness(0.0).text == "the model is loading"
    assert latest_snapshot.silence_s(1e9) == 0.0


def test_service_that_turns(latest_snapshot: LatestSnapshot):
    """Both."""
    latest_snapshot.post(SNAPSHOT, 100.0)

    assert answers(latest_snapshot, 101.0) == (True, True)
    assert latest_snapshot.readiness(101.0).text == "ready"


def test_service_that_hangs(latest_snapshot: LatestSnapshot):
    """Neither; only a restart helps."""
    latest_snapshot.post(SNAPSHOT, 100.0)

    assert answers(latest_snapshot, 100.0 + MAX_SILENCE_S) == (True, True)
    assert answers(latest_snapshot, 101.0 + MAX_SILENCE_S) == (False, False)
    assert "has not turned for 121 s" in latest_snapshot.liveness(101.0 + MAX_SILENCE_S).text


def test_part_that_hangs(latest_snapshot: LatestSnapshot):
    """The loop turns, but only a restart helps: neither, with picture and stage."""
    stalled = ["decode of /hot/cat.jpg does not end", "thread model-cpu has ended"]
    latest_snapshot.post(dataclasses.replace(SNAPSHOT, stalled=stalled), 100.0)

    assert answers(latest_snapshot, 101.0) == (False, False)
    assert latest_snapshot.liveness(101.0).text == (
        "no progress: decode of /hot/cat.jpg does not end\nno progress: thread model-cpu has ended"
    )


def test_one_folder_stands_by(latest_snapshot: LatestSnapshot):
    """The other works; the reason is told."""
    latest_snapshot.post(dataclasses.replace(SNAPSHOT, standby={"hot": "disk full"}), 100.0)

    assert answers(latest_snapshot, 101.0) == (True, True)
    assert latest_snapshot.readiness(101.0).text == "ready\nfolder hot stands by: disk full"


def test_all_folders_stand_by(latest_snapshot: LatestSnapshot):
    """Alive, for a restart does not help; not ready."""
    standby = {"hot": "disk full", "scans": "not there"}
    latest_snapshot.post(dataclasses.replace(SNAPSHOT, standby=standby), 100.0)

    assert answers(latest_snapshot, 101.0) == (True, False)
    assert latest_snapshot.readiness(101.0).text.startswith("not ready\nfolder hot stands by: ")


def test_daemon_that_stops(latest_snapshot: LatestSnapshot):
    """Alive for as long as it drains, without a word from its loop; not ready."""
    latest_snapshot.post(dataclasses.replace(SNAPSHOT, is_stopping=True), 100.0)

    assert answers(latest_snapshot, 100.0 + 2 * MAX_SILENCE_S) == (True, False)


def test_last_word_has_no_time(latest_snapshot: LatestSnapshot):
    """The service ends with a snapshot of "whenever"."""
    latest_snapshot.post(SNAPSHOT, float("inf"))

    assert latest_snapshot.silence_s(100.0) == 0.0


def test_a_stopped_process_is_not_called_silent():
    """All threads stood still: the service's silence counts from the moment when they go on."""
    latest = LatestSnapshot()
    latest.post(SNAPSHOT, 100.0)
    latest.note_turn(100.2)
    latest.note_turn(100.4)
    latest.note_turn(900.0)
    just_after = latest.liveness(900.0)
    for tick in range(700):
        latest.note_turn(900.0 + tick * 0.2)
    later = latest.liveness(900.0 + 130.0)

    assert (just_after.is_healthy, later.is_healthy) == (True, False)
