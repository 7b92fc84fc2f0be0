"""Temporary folders of a cluster's processes: none of them outlives its process for long."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.errors import Blame
from daemon.jobs import Failed, Task
from daemon.worker.engines.cluster import crashes, driver, node_worker, payloads, temporary_folders
from daemon.worker.engines.cluster.access import Access
from daemon.worker.engines.cluster.driver import RayProcess
from daemon.worker.engines.cluster.node_checks import NodeRequest
from daemon.worker.engines.cluster.node_worker import NodeWorker, Setup
from daemon.worker.engines.cluster.path_maps import PathMap
from daemon.worker.engines.cluster.temporary_folders import TemporaryFolder, sweep
from daemon.worker.engines.direct import DirectEngine
from tests.samples import RENDERING
from tests.worker.cluster_kit import SETTINGS

#: Makes a folder, tells its name, and lives until it is told to end.
PROGRAM = """
import sys
from pathlib import Path
from daemon.worker.engines.cluster.temporary_folders import TemporaryFolder
folder = TemporaryFolder(Path(sys.argv[1]), "picture-")
(folder.path / "source").write_bytes(b"picture")
print(folder.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files lie."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_folder_of_a_process_that_was_killed_is_deleted(place: Path):
    """And not before."""
    command = [sys.executable, "-c", PROGRAM, str(place)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        folder = Path(os.fsdecode(process.stdout.readline().strip()))
        sweep(place, "picture-")
        is_kept = (folder / "source").exists()
        process.kill()
    sweep(place, "picture-")

    assert is_kept
    assert not folder.exists()


def test_folders_of_others_stay(place: Path, monkeypatch: pytest.MonkeyPatch):
    """Those with another name, those of another user, and what a link leads to."""
    (place / "else").mkdir()
    (place / "picture-link").symlink_to(place / "else")
    sweep(place, "picture-")
    (place / "picture-1").mkdir()
    owner = place.stat().st_uid
    monkeypatch.setattr("os.geteuid", lambda: owner + 1)
    sweep(place, "picture-")

    assert sorted(one.name for one in place.iterdir()) == ["else", "picture-1", "picture-link"]


def test_folder_that_is_swept_before_it_is_locked_is_made_again(
    place: Path, monkeypatch: pytest.MonkeyPatch
):
    """Another worker of the machine starts in that very moment."""
    lock = temporary_folders.locked
    swept: list[Path] = []

    def sweep_first(folder: Path) -> int | None:
        if not swept:
            swept.append(folder)
            sweep(place, "picture-")
        return lock(folder)

    monkeypatch.setattr(temporary_folders, "locked", sweep_first)
    folder = TemporaryFolder(place, "picture-")
    made = list(place.iterdir())
    folder.close()

    assert swept != made == [folder.path]
    assert list(place.iterdir()) == []


def left(parent: Path, prefix: str) -> Path:
    """A folder with something in it, whose process is gone."""
    folder = TemporaryFolder(parent, prefix)
    (folder.path / "source").write_bytes(b"picture")
    os.close(folder.lock)
    return folder.path


@pytest.fixture
def worker(place: Path) -> NodeWorker:
    """One that notes where its pictures are; it is not open yet."""
    worker = NodeWorker.__new__(NodeWorker)
    engine = DirectEngine(lambda task: Failed(Blame.UNKNOWN, str(task.source)))
    request = NodeRequest((), ())
    worker.setup = Setup(SETTINGS, request, "n1", "", open_engine=lambda settings: engine)
    worker.paths = PathMap((), name="n1", address="")
    return worker


def test_pictures_of_a_worker_that_was_killed_are_deleted_at_the_next_start(worker: NodeWorker):
    """Nobody's picture stays in a temporary folder of some node."""
    folder = left(crashes.node_folder(), node_worker.PICTURE)
    worker.opened()

    assert not folder.exists()


def test_picture_lies_where_the_next_worker_would_find_it(worker: NodeWorker, place: Path):
    """Closed to others, and only while it is in work."""
    source = place / "cat.jpg"
    source.write_bytes(b"picture")
    task = Task("1", source, place / ".1.part", RENDERING, 10**6)
    payload = payloads.pack(task, max_bytes=100)
    assert payload is not None
    worker.engine = worker.opened()
    outcome, _ = asyncio.run(worker.run_payload(payload))

    assert isinstance(outcome, Failed)
    assert outcome.reason.startswith(str(crashes.node_folder() / node_worker.PICTURE))
    assert list(crashes.node_folder().iterdir()) == []


def test_folder_for_ray_of_a_daemon_that_was_killed_is_deleted(
    place: Path, monkeypatch: pytest.MonkeyPatch
):
    """A cluster of its own leaves objects and logs there."""
    monkeypatch.setattr(driver, "COMMAND", (sys.executable, "-c", "input()"))
    left(place, driver.PLACE)
    process = RayProcess(Access("head:1"), lambda driver, event: None)
    during = list(place.iterdir())
    process.close()

    assert during == [process.place.path]
    assert list(place.iterdir()) == []
