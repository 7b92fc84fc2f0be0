"""What monitors hear: does it go on, and would a picture be cut out?"""

import dataclasses

import pytest

from daemon.reporting.latest_snapshot import SILENCE_S, Bulletin
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
def bulletin() -> Bulletin:
    """Nothing was posted."""
    return Bulletin()


def answers(bulletin: Bulletin, monotonic: float) -> tuple[bool, bool]:
    """Alive and ready."""
    return bulletin.liveness(monotonic).is_well, bulletin.readiness(monotonic).is_well


def test_model_that_loads(bulletin: Bulletin):
    """Alive however long it takes (systemd has a limit for that), and not ready."""
    assert answers(bulletin, 1e9) == (True, False)
    assert bulletin.readiness(0.0).text == "the model is loading"
    assert bulletin.silence_s(1e9) == 0.0


def test_service_that_turns(bulletin: Bulletin):
    """Both."""
    bulletin.post(SNAPSHOT, 100.0)

    assert answers(bulletin, 101.0) == (True, True)
    assert bulletin.readiness(101.0).text == "ready"


def test_service_that_hangs(bulletin: Bulletin):
    """Neither; only a restart helps."""
    bulletin.post(SNAPSHOT, 100.0)

    assert answers(bulletin, 100.0 + SILENCE_S) == (True, True)
    assert answers(bulletin, 101.0 + SILENCE_S) == (False, False)
    assert "has not turned for 121 s" in bulletin.liveness(101.0 + SILENCE_S).text


def test_part_that_hangs(bulletin: Bulletin):
    """The loop turns, but only a restart helps: neither, with picture and stage."""
    stalled = ["decode of /hot/cat.jpg does not end", "thread model-cpu has ended"]
    bulletin.post(dataclasses.replace(SNAPSHOT, stalled=stalled), 100.0)

    assert answers(bulletin, 101.0) == (False, False)
    assert bulletin.liveness(101.0).text == (
        "no progress: decode of /hot/cat.jpg does not end\nno progress: thread model-cpu has ended"
    )


def test_one_folder_stands_by(bulletin: Bulletin):
    """The other works; the reason is told."""
    bulletin.post(dataclasses.replace(SNAPSHOT, standby={"hot": "disk full"}), 100.0)

    assert answers(bulletin, 101.0) == (True, True)
    assert bulletin.readiness(101.0).text == "ready\nfolder hot stands by: disk full"


def test_all_folders_stand_by(bulletin: Bulletin):
    """Alive, for a restart does not help; not ready."""
    standby = {"hot": "disk full", "scans": "not there"}
    bulletin.post(dataclasses.replace(SNAPSHOT, standby=standby), 100.0)

    assert answers(bulletin, 101.0) == (True, False)
    assert bulletin.readiness(101.0).text.startswith("not ready\nfolder hot stands by: ")


def test_daemon_that_stops(bulletin: Bulletin):
    """Alive for as long as it drains, without a word from its loop; not ready."""
    bulletin.post(dataclasses.replace(SNAPSHOT, is_stopping=True), 100.0)

    assert answers(bulletin, 100.0 + 2 * SILENCE_S) == (True, False)


def test_last_word_has_no_time(bulletin: Bulletin):
    """The service ends with a snapshot of "whenever"."""
    bulletin.post(SNAPSHOT, float("inf"))

    assert bulletin.silence_s(100.0) == 0.0
