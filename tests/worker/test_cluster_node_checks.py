"""What a machine of a cluster sees, how it differs from here, and what mends it."""

import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from daemon.disk import files
from daemon.errors import Blame, MachineError
from daemon.jobs import Cancelled, Done, Failed, Identity, Task
from daemon.worker.engines.cluster import payloads
from daemon.worker.engines.cluster.access import why_unreachable
from daemon.worker.engines.cluster.judging import Reply
from daemon.worker.engines.cluster.late_parts import LateParts, remove_parts
from daemon.worker.engines.cluster.node_checks import (
    CANARY,
    NodeRequest,
    differences,
    inspect_node,
    remove_canaries,
    write_canaries,
)
from daemon.worker.engines.cluster.node_worker import share_of
from daemon.worker.engines.cluster.path_maps import MappedFolder, PathMap
from daemon.worker.engines.cluster.payloads import ALPHA, RESULT, Payload
from tests.samples import RENDERING


@pytest.fixture
def node_request(tmp_path: Path) -> NodeRequest:
    """A hot folder, one for results and a model."""
    for name in ("hot", "out", "there"):
        (tmp_path / name).mkdir()
    (tmp_path / "model").write_bytes(b"weights")
    return NodeRequest((tmp_path / "hot",), (tmp_path / "out",), (tmp_path / "model",))


def found(node_request: NodeRequest, *folders: MappedFolder) -> list[str]:
    """How a node with these mounts differs from here."""
    now = time.time()
    theirs = inspect_node(replace(node_request, folders=folders), name="n1", address="10.0.0.1")
    return [
        f"{one.check}: {one.text}"
        for one in differences(inspect_node(node_request), theirs, at=(now, now))
    ]


def test_same_machine_sees_the_same(node_request: NodeRequest):
    """Nothing to mend."""
    assert found(node_request) == []


def test_other_folder_is_noticed(node_request: NodeRequest, tmp_path: Path):
    """By its inode."""
    [text] = found(node_request, MappedFolder(tmp_path / "hot", tmp_path / "there"))

    assert text == f"folder: {tmp_path}/there is another folder there than {tmp_path}/hot here"


def test_canary_decides_where_inodes_do_not(node_request: NodeRequest, tmp_path: Path):
    """Empty mount points may have the same inode, and shares give others on each machine."""
    write_canaries(node_request.written)
    here = inspect_node(node_request)
    [place] = [here.places[path] for path in node_request.written]
    shared = replace(here, places={node_request.written[0]: replace(place, device=9, inode=9)})
    empty = replace(here, places={node_request.written[0]: replace(place, canary=b"")})
    now = time.time()

    assert (
        list(
            differences(
                replace(here, places={node_request.written[0]: place}), shared, at=(now, now)
            )
        )
        == []
    )
    [found] = differences(
        replace(here, places={node_request.written[0]: place}), empty, at=(now, now)
    )
    assert "another folder" in found.text
    remove_canaries(node_request.written)
    assert not (node_request.written[0] / CANARY).exists()


def test_canary_of_a_running_daemon_stays(node_request: NodeRequest):
    """Others compare with it."""
    write_canaries(node_request.written)
    before = (node_request.written[0] / CANARY).read_bytes()
    write_canaries(node_request.written)

    assert (node_request.written[0] / CANARY).read_bytes() == before


def test_missing_folder_is_told_with_its_remedy(node_request: NodeRequest, tmp_path: Path):
    """Two ways: mount it, or name its place."""
    theirs = inspect_node(
        replace(node_request, folders=(MappedFolder(tmp_path / "out", tmp_path / "no"),))
    )
    [one] = differences(inspect_node(node_request), theirs, at=(time.time(), time.time()))

    assert "No such file" in one.text
    assert f"worker.ray.paths: [{{here: {tmp_path}/out" in one.mend


@pytest.mark.root
def test_folder_that_cannot_be_written_is_told(node_request: NodeRequest, tmp_path: Path):
    """Reading is not enough."""
    subprocess.run(["mount", "--bind", tmp_path / "out", tmp_path / "there"], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", tmp_path / "there"], check=True)
        [text] = found(node_request, MappedFolder(tmp_path / "out", tmp_path / "there"))
    finally:
        subprocess.run(["umount", tmp_path / "there"], check=True)

    assert "cannot be written" in text


def test_full_disk_is_seen_here_too(
    node_request: NodeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """An empty file still fits, so some bytes are tried; and what was tried is removed."""

    def create(path: Path) -> BinaryIO:
        path.touch()
        return Path("/dev/full").open("wb")

    monkeypatch.setattr(files, "create", create)
    place = inspect_node(node_request).places[tmp_path / "out"]

    assert place.fault == "it cannot be written: No space left on device"
    assert list((tmp_path / "out").iterdir()) == []


def test_try_leaves_nothing(node_request: NodeRequest, tmp_path: Path):
    """It would be served as a result, and take room."""
    assert inspect_node(node_request).places[tmp_path / "out"].fault == ""
    assert list((tmp_path / "out").iterdir()) == []


def test_other_weights_are_told(node_request: NodeRequest, tmp_path: Path):
    """By their hash."""
    (tmp_path / "there" / "model").write_bytes(b"other weights")
    [text] = found(node_request, MappedFolder(tmp_path / "model", tmp_path / "there" / "model"))

    assert text.startswith(f"weights: {tmp_path}/model is not the same file there")


def test_weights_that_are_missing_there(node_request: NodeRequest, tmp_path: Path):
    """The reason stands instead of a hash."""
    [text] = found(node_request, MappedFolder(tmp_path / "model", tmp_path / "no"))

    assert "No such file" in text


@pytest.mark.parametrize(
    ("late_s", "is_told"), [(-1.5, False), (1.5, False), (-60, True), (60, True)]
)
def test_clock_may_differ_by_two_seconds(node_request: NodeRequest, late_s: float, is_told: bool):
    """Later ones make files look young or old."""
    here, now = inspect_node(node_request), time.time()
    theirs = replace(here, now=now + late_s)

    assert [one.check for one in differences(here, theirs, at=(now, now))] == ["clock"] * is_told


def test_longest_mapped_folder_wins():
    """And only for nodes that its pattern names."""
    folders = (
        MappedFolder(Path("/srv"), Path("/mnt/all")),
        MappedFolder(Path("/srv/in"), Path("/fast/in"), "gpu*"),
        MappedFolder(Path("/srv/in"), Path("/slow/in"), "10.0.0.7"),
    )
    places = [
        PathMap(folders, name=name, address=address).there(Path("/srv/in/a.jpg"))
        for name, address in (("gpu1", "10.0.0.1"), ("cpu", "10.0.0.7"), ("cpu", "10.0.0.8"))
    ]

    assert list(map(str, places)) == ["/fast/in/a.jpg", "/slow/in/a.jpg", "/mnt/all/in/a.jpg"]


def test_whole_task_is_mapped():
    """Every path in it."""
    task = Task(
        "1",
        Path("/srv/a"),
        Path("/srv/b"),
        replace(RENDERING, background=Path("/srv/c")),
        1,
        alpha_part=Path("/srv/d"),
        touch_ups=(Path("/srv/e"),),
    )
    mapped = PathMap((MappedFolder(Path("/srv"), Path("/mnt")),), name="", address="").task(task)

    assert "/srv" not in str(mapped)
    assert str(mapped).count("/mnt") == 5


@pytest.mark.parametrize(
    ("processors", "index", "count", "share"),
    [
        ([0, 1, 2, 3], 0, 2, {0, 1}),
        ([0, 1, 2, 3], 1, 2, {2, 3}),
        ([4, 5], 2, 3, {4}),
        ([7], 0, 1, {7}),
        ([0, 1, 2, 3], 0, 0, {0, 1, 2, 3}),
    ],
)
def test_share_of_processors(processors: list[int], index: int, count: int, share: set[int]):
    """At least one, and the same for as many workers as there are processors."""
    assert share_of(processors, index, count) == share


# --- pictures that travel ------------------------------------------------------------------------


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """A picture with a mask of a person and a mask beside its result."""
    (tmp_path / "cat.jpg").write_bytes(b"picture")
    (tmp_path / "mask.png").write_bytes(b"painted")
    return Task(
        "1",
        tmp_path / "cat.jpg",
        tmp_path / ".1.part",
        RENDERING,
        10**6,
        alpha_part=tmp_path / ".1-alpha.part",
        touch_ups=(tmp_path / "mask.png",),
    )


def test_parcel_goes_there_and_back(task: Task, tmp_path: Path):
    """The parts are written here, and the outcome names our version of the original."""
    sent = payloads.pack(task, max_bytes=100)
    assert sent is not None
    there = tmp_path / "there"
    there.mkdir()
    theirs = payloads.unpack(sent, there)
    assert theirs.source.read_bytes() == b"picture"
    assert [path.read_bytes() for path in theirs.touch_ups] == [b"painted"]
    theirs.part.write_bytes(b"result")
    assert theirs.alpha_part is not None
    theirs.alpha_part.write_bytes(b"alpha")
    done = Done(Identity(7, 7, 7, 7), 1, 1, {})
    outcome = payloads.written(sent, done, payloads.pack_results(theirs)).outcome

    assert isinstance(outcome, Done)
    assert outcome.identity == files.identity(task.source)
    assert task.part.read_bytes() == b"result"
    assert (tmp_path / ".1-alpha.part").read_bytes() == b"alpha"


def test_large_picture_does_not_travel(task: Task):
    """It lies on the share."""
    assert payloads.pack(task, max_bytes=6) is None
    assert payloads.pack(task, max_bytes=7) is not None


def test_failure_comes_back_as_it_is(task: Task):
    """Nothing is written."""
    failed = Failed(Blame.FILE, "not a picture")
    sent = Payload(task, {}, Identity(1, 2, 3, 4))

    assert payloads.written(sent, failed, Payload(task)) == Reply(task.job_id, failed)
    assert payloads.written(sent, Cancelled(), Payload(task)) == Reply(task.job_id, Cancelled())
    assert not task.part.exists()


def test_parcel_of_another_picture_is_not_written(task: Task):
    """Its reply names that picture, by which it is known as nonsense."""
    sent = Payload(task, {}, Identity(1, 2, 3, 4))
    made = Payload(replace(task, job_id="other"), {RESULT: b"result"})
    reply = payloads.written(sent, Done(Identity(7, 7, 7, 7), 1, 1, {}), made)

    assert reply.job_id == "other"
    assert not task.part.exists()


def test_part_that_cannot_be_written_here_is_told(task: Task):
    """The service decides what follows."""
    sent = Payload(replace(task, part=Path("/proc/no/part")), {}, Identity(1, 2, 3, 4))
    made = Payload(task, {RESULT: b"result", ALPHA: b"alpha"})
    reply = payloads.written(sent, Done(Identity(7, 7, 7, 7), 1, 1, {}), made)

    assert isinstance(reply.outcome, Failed)


def test_full_disk_is_the_machines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """It stands by, and no picture is blamed."""
    monkeypatch.setattr(files, "create", lambda path: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(MachineError, match="cannot be written"):
        payloads.write(tmp_path / "part", b"result")


# --- parts of attempts that are over ------------------------------------------------------------


def test_strays_are_watched_for_a_while(task: Task):
    """Looked for again and again, then forgotten."""
    late_parts = LateParts()
    late_parts.add([task], now=0.0)

    assert late_parts.due(0.0) == [task]
    assert late_parts.due(1.0) == []
    assert late_parts.due(2.5) == [task]
    assert late_parts.due(1000.0) == [task]
    assert late_parts.due(1003.0) == []


def test_parts_are_removed_and_nothing_else(task: Task, tmp_path: Path):
    """Those that are there."""
    task.part.write_bytes(b"late")

    assert remove_parts([task]) == [task.part]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cat.jpg", "mask.png"]


def test_nobody_at_the_address():
    """In a moment, and in plain words."""
    assert "no cluster answers at 127.0.0.1:1 (Connection refused)" in why_unreachable(
        "127.0.0.1:1"
    )
    assert why_unreachable("local") == ""
