"""The engine of many machines, on a cluster of values: who gets a picture, whose fault it is."""

import logging
import os
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.disk import files
from daemon.errors import Blame
from daemon.jobs import Cancelled, Done, Failed, Identity, Outcome, Task
from daemon.worker.engines.cluster import seats
from daemon.worker.engines.cluster.access import Access
from daemon.worker.engines.cluster.judging import (
    EXACT_NS,
    Nonsense,
    NotCarried,
    Reply,
    Unreadable,
    is_same_version,
)
from daemon.worker.engines.cluster.messages import Broken, Node
from daemon.worker.engines.cluster.node_checks import CANARY, NodeFacts
from daemon.worker.engines.cluster.node_worker import Line
from daemon.worker.engines.cluster.wording import PROCESS_ENDED
from daemon.worker.engines.ray import RayDriver
from tests.worker.cluster_kit import FakeNode, World, blind, node, said_of

JOB = "cat"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Two nodes with a warm worker each."""
    world = World(tmp_path, node("n1"), node("n2"))
    world.pass_time(5.0)
    return world


# --- capacity --------------------------------------------------------------------------------


def test_each_share_has_a_warm_worker(world: World):
    """And the engine takes as much as both together."""
    assert world.crew.depth == 4
    assert [worker.word for one in world.keeper.state(0).nodes for worker in one.workers] == [
        "warm",
        "warm",
    ]


def test_pictures_are_spread(world: World):
    """The least busy worker gets the next one."""
    tasks = [world.task() for _ in range(4)]
    for task in tasks:
        world.submit(task)

    assert [len(worker.inside) for worker in world.workers.values()] == [2, 2]


def test_node_that_joins_gets_a_worker(world: World):
    """Within seconds."""
    world.nodes["n3"] = node("n3")
    world.pass_time(3.0)

    assert world.crew.depth == 6


@pytest.mark.parametrize(
    ("machine", "workers", "gpus"),
    [
        (Node("n1", "n1", "", gpus=4), 4, 1),
        (Node("n1", "n1", "", gpus=4, shares=2), 2, 1),
        (Node("n1", "n1", "", gpus=1, shares=3), 3, 0),
        (Node("n1", "n1", "", gpus=4, shares=0), 0, 0),
        (Node("n1", "n1", ""), 0, 0),
    ],
)
def test_workers_of_a_node(machine: Node, workers: int, gpus: int):
    """As many as shares, else as GPUs; a GPU each only if there are enough."""
    assert (machine.seats, machine.gpus_of_seat) == (workers, gpus)


def test_node_without_a_resource_is_told(tmp_path: Path):
    """It is not used, and the way to use it is said."""
    world = World(tmp_path, FakeNode(Node("n1", "n1", "10.0.0.1")))
    world.pass_time(5.0)

    [state] = world.keeper.state(0).nodes
    assert "ray start" in state.why
    assert "no node with a GPU or with the resource cvunetd" in world.keeper.trouble(world.now)


def test_resource_of_another_name_is_told():
    """GPUs are no way to be used then."""
    assert "GPU" not in seats.why_unused("cvunetd_a") + seats.why_none("cvunetd_a")
    assert "no resource cvunetd_a: to use it, start it by" in seats.why_unused("cvunetd_a")


# --- what gets lost --------------------------------------------------------------------------


CRASH = "Segmentation fault"
FROM_OUTSIDE = f"{PROCESS_ENDED} from outside: by kill -9, or for lack of memory"


@pytest.mark.parametrize(
    ("crash", "expected"),
    [
        (CRASH, (Blame.UNKNOWN, "node n1 (10.0.0.1): its process has crashed: Segmentation fault")),
        ("", (Blame.ENDED, f"node n1 (10.0.0.1): {FROM_OUTSIDE}")),
    ],
)
def test_dead_worker_is_blamed_on_its_pictures_if_it_has_crashed(
    world: World, crash: str, expected: tuple[Blame, str]
):
    """An attempt each; a death from outside is only counted. The others are not touched."""
    tasks = [world.task() for _ in range(4)]
    futures = [world.submit(task) for task in tasks]
    first = world.on("n1")
    lost = [futures[tasks.index(task)] for task in first.inside.values()]
    world.break_worker(first, PROCESS_ENDED, crash=crash)

    outcomes = [future.result(0) for future in lost]
    assert [(one.blame, one.reason) for one in outcomes if isinstance(one, Failed)] == [
        expected
    ] * 2
    assert sum(future.done() for future in futures) == 2
    world.pass_time(5.0)
    assert world.crew.depth == 4


def test_machine_without_memory_costs_no_attempt(world: World):
    """Ray has ended the worker, whatever it did: only a death is counted, at once."""
    tasks = [world.task() for _ in range(4)]
    futures = [world.submit(task) for task in tasks]
    first = world.on("n1")
    lost = [futures[tasks.index(task)] for task in first.inside.values()]
    world.break_worker(first, "no memory", is_machines=True)

    reason = "node n1 (10.0.0.1): no memory"
    assert [future.result(0) for future in lost] == [Failed(Blame.ENDED, reason)] * 2
    assert sum(future.done() for future in futures) == 2
    [seat] = [one for one in world.crew.seats.values() if one.word != "warm"]
    assert seat.why == "no memory"


def test_node_that_is_cut_off_costs_no_attempt_and_publishes_nothing(world: World):
    """No picture takes a node away. Its worker goes on, and what it writes later is deleted."""
    task = world.task()
    future = world.submit(task)
    [worker] = world.where(task)
    world.lose_node(worker.node)
    outcome = future.result(0)
    task.part.write_bytes(b"late")
    world.pass_time(3.0)

    assert isinstance(outcome, Failed)
    assert outcome.blame is Blame.ENDED
    assert not task.part.exists()


@pytest.mark.parametrize(("is_away", "blame"), [(False, Blame.UNKNOWN), (True, Blame.ENDED)])
def test_silent_worker_hangs_if_its_node_answers(world: World, is_away: bool, blame: Blame):
    """Else the node may be cut off, which is no fault of the picture."""
    task = world.task()
    future = world.submit(task)
    [worker] = world.where(task)
    world.nodes[worker.node].is_silent = True
    world.nodes[worker.node].is_away = is_away
    world.pass_time(33.0)
    was_waiting = not future.done()
    world.pass_time(35.0)
    outcome = future.result(0)

    assert was_waiting is is_away
    assert isinstance(outcome, Failed)
    assert (outcome.blame, "has not answered for 30 s" in outcome.reason) == (blame, True)


def test_node_that_cannot_be_asked_ends_the_inquest(world: World):
    """Ray says that it is gone: nothing is waited for."""
    task = world.task()
    future = world.submit(task)
    [worker] = world.where(task)
    world.nodes[worker.node].is_away = True
    world.break_worker(worker, crash=CRASH)
    assert not future.done()
    [call] = world.crew.lost_workers
    world.post(Broken(call, "its node has died"))
    world.run_turns()

    assert future.result(0) == Failed(Blame.ENDED, f"node {worker.node} (10.0.0.1): it died")
    assert world.crew.lost_workers == {}


def test_node_that_leaves_during_an_inquest_ends_it(world: World):
    """All of it was shut off: Ray tells of the worker first, and of the node a little later."""
    future = world.submit(task := world.task())
    [worker] = world.where(task)
    world.nodes[worker.node].is_away = True
    world.break_worker(worker)
    was_waiting = not future.done()
    world.lose_node(worker.node)

    outcome = future.result(0)
    assert was_waiting
    assert isinstance(outcome, Failed)
    assert outcome.blame is Blame.ENDED


def test_head_that_goes_during_an_inquest_ends_it(world: World):
    """Its pictures are given back like all others."""
    future = world.submit(task := world.task())
    [worker] = world.where(task)
    world.nodes[worker.node].is_away = True
    world.break_worker(worker)
    was_idle = world.crew.is_idle
    world.lose_head()

    assert (was_idle, future.result(0), world.crew.is_idle) == (False, Cancelled(), True)


def test_late_answer_changes_nothing(world: World):
    """The worker was given up and answers afterwards: that attempt is over."""
    task = world.task()
    future = world.submit(task)
    [worker] = world.where(task)
    world.nodes[worker.node].is_silent = True
    world.pass_time(40.0)
    outcome = future.result(0)
    world.answer(task)
    world.pass_time(3.0)

    assert isinstance(outcome, Failed)
    assert "has not answered for 30 s" in outcome.reason
    assert not task.part.exists()


def test_silent_worker_gets_nothing_more(world: World):
    """Long before it is given up."""
    world.nodes["n1"].is_silent = True
    world.pass_time(10.0)
    tasks = [world.task() for _ in range(3)]
    for task in tasks:
        world.submit(task)

    assert len(world.on("n1").inside) == 0
    assert len(world.on("n2").inside) == 2


def test_stalled_worker_is_replaced(world: World):
    """A stage that hangs costs its pictures an attempt, as on one machine."""
    task = world.task()
    future = world.submit(task)
    [worker] = world.where(task)
    host = world.nodes[worker.node]
    host.stalled = ("thread model-cpu does not come back from a batch",)
    world.pass_time(3.0)
    host.stalled = ()
    outcome = future.result(0)
    world.pass_time(5.0)

    assert isinstance(outcome, Failed)
    assert "makes no progress" in outcome.reason
    assert not worker.is_alive
    assert world.crew.depth == 4


def test_suspect_is_alone_in_its_worker(world: World):
    """It waits until one is empty; the other worker goes on meanwhile."""
    for _ in range(4):
        world.submit(world.task())
    suspect, later = world.task(is_suspect=True), world.task()
    world.submit(suspect)
    world.submit(later)
    reserved = [seat for seat in world.crew.seats.values() if seat.is_reserved]
    assert len(reserved) == 1
    for task in list(world.on(reserved[0].node.id).inside.values()):
        world.answer(task)

    [worker] = world.where(suspect)
    assert list(worker.inside.values()) == [suspect]
    assert worker.node == reserved[0].node.id
    assert world.where(later) == []


def test_picture_that_kills_on_three_nodes(tmp_path: Path):
    """Each time it counts, and no other picture is with it after the first time."""
    world = World(tmp_path, node("n1"), node("n2"), node("n3"))
    world.pass_time(5.0)
    neighbours = [world.submit(world.task()) for _ in range(3)]
    reasons = []
    for attempt in range(3):
        killer = world.task(f"killer{attempt}", is_suspect=attempt > 0)
        future = world.submit(killer)
        if not world.where(killer):
            for task in [task for one in world.workers.values() for task in one.inside.values()]:
                world.answer(task)
        [worker] = world.where(killer)
        assert attempt == 0 or list(worker.inside.values()) == [killer]
        world.break_worker(worker, crash=CRASH)
        reasons.append(future.result(0))
        world.pass_time(5.0)

    assert all(isinstance(one, Failed) and one.blame is Blame.UNKNOWN for one in reasons)
    assert sum(isinstance(one.result(0), Failed) for one in neighbours if one.done()) <= 1


# --- the head --------------------------------------------------------------------------------


def test_head_that_is_gone_gives_everything_back(world: World):
    """Nothing counts, the reason is told, and work goes on when it is back."""
    futures = [world.submit(world.task()) for _ in range(6)]
    world.lose_head()

    assert [future.result(0) for future in futures] == [Cancelled()] * 6
    assert "connection to the cluster has ended" in world.keeper.trouble(world.now)
    assert world.crew.depth == 0
    world.pass_time(5.0)
    assert "no cluster answers" in world.keeper.trouble(world.now)
    world.is_up = True
    world.pass_time(10.0)
    assert (world.keeper.trouble(world.now), world.crew.depth) == ("", 4)


def test_head_that_says_nothing_counts_as_gone(world: World):
    """Ray itself would wait for a minute."""
    future = world.submit(world.task())
    world.is_up = False
    world.pass_time(25.0)

    assert future.result(0) == Cancelled()


def test_own_cluster_that_dies_counts(tmp_path: Path):
    """It runs on this machine alone: a picture may have taken its memory."""
    world = World(tmp_path, node("n1"), is_private=True)
    world.pass_time(5.0)
    future = world.submit(world.task())
    world.lose_head()

    outcome = future.result(0)
    assert isinstance(outcome, Failed)
    assert outcome.blame is Blame.ENDED


def test_parts_of_lost_attempts_are_deleted(world: World):
    """Workers end a minute after the head; what they write until then belongs to nobody."""
    task = world.task()
    world.submit(task)
    world.lose_head()
    world.is_up = True
    world.pass_time(10.0)
    task.part.write_bytes(b"late")
    world.pass_time(3.0)

    assert not task.part.exists()


# --- a machine's fault -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        Reply(JOB, Failed(Blame.MACHINE, "No space left on device")),
        Reply(JOB, Failed(Blame.UNSURE, "Input/output error")),
        Reply(JOB, Unreadable(Failed(Blame.FILE, "the original vanished before it was read"))),
        "nonsense",
        [],
        Nonsense("Done of wrong fields"),
        Failed(Blame.FILE, "it does not say of which picture"),
        Reply("another job", Cancelled()),
        Reply(JOB, Failed(Blame.DEVICE, "CUDA error: an illegal memory access was encountered")),
        Reply(JOB, Failed(Blame.INSTALL, "no such weights")),
    ],
    ids=str,
)
def test_machine_is_to_blame_for_what_works_here(world: World, answer: object):
    """The picture goes to another worker, its attempt is refunded, and the reason is told."""
    task = world.task(JOB)
    future = world.submit(task)
    [worker] = world.where(task)
    world.say(task, answer)

    assert future.result(0) == Cancelled()
    [seat] = [one for one in world.crew.seats.values() if one.word != "warm"]
    assert seat.node.id == worker.node
    assert seat.why


@pytest.mark.parametrize("theirs_ns", EXACT_NS)
@pytest.mark.parametrize("ours_ns", EXACT_NS)
def test_share_has_other_numbers_on_each_machine(world: World, ours_ns: int, theirs_ns: int):
    """NFS, SMB and SFTP: a device and an inode of their own, and times as exact as they know.

    Any of them may be how the daemon's own machine mounts it.
    """
    task = world.task()
    changed_ns = 1_700_000_000_123_456_789
    os.utime(task.source, ns=(0, changed_ns // ours_ns * ours_ns))
    future = world.submit(task)
    ours = files.identity(task.source)
    assert ours is not None
    theirs = Identity(9, 99, ours.size, changed_ns // theirs_ns * theirs_ns)
    task.part.write_bytes(b"result")
    world.answer(task, Done(theirs, 4, 3, {}))

    assert future.result(0) == Done(ours, 4, 3, {})


@pytest.mark.parametrize(
    ("ours_ns", "theirs_ns"),
    [(123_456_789, 123_456_788), (123_456_700, 123_456_800), (0, 1_000_000_001)],
)
def test_times_of_two_versions_stay_two(ours_ns: int, theirs_ns: int):
    """No mount would show one time as both."""
    ours, theirs = Identity(1, 1, 7, ours_ns), Identity(9, 9, 7, theirs_ns)

    assert not is_same_version(ours, theirs)
    assert not is_same_version(theirs, ours)


@pytest.mark.parametrize("change", [{"size": 8}, {"mtime_ns": 5}])
def test_original_that_has_changed_is_told(world: World, change: dict[str, int]):
    """The service cuts out the new version."""
    task = world.task()
    future = world.submit(task)
    ours = files.identity(task.source)
    assert ours is not None
    read = replace(ours, **change)
    task.part.write_bytes(b"result")
    world.answer(task, Done(read, 4, 3, {}))

    assert future.result(0) == Done(read, 4, 3, {})


def test_result_that_is_not_here_is_the_machines_fault(world: World):
    """An empty mount point takes results, and keeps them."""
    task = world.task()
    future = world.submit(task)
    world.answer(task, is_written=False)

    assert future.result(0) == Cancelled()
    assert [one.why for one in world.crew.seats.values() if one.word == "off"] == [
        f"it says that it has written {task.part}, which is not here"
    ]


@pytest.mark.parametrize("blame", [Blame.MACHINE, Blame.UNSURE])
def test_trouble_that_is_here_too_is_told(world: World, blame: Blame):
    """The service knows what to do about it: the folder stands by."""
    task = world.task()
    future = world.submit(task)
    task.source.unlink()
    world.answer(task, Failed(blame, "gone"), is_written=False)

    assert future.result(0) == Failed(blame, "gone")
    assert world.crew.depth == 4


def test_bad_picture_is_bad_everywhere(world: World):
    """What a node can read and not decode is the picture's fault."""
    task = world.task()
    future = world.submit(task)
    world.answer(task, Failed(Blame.FILE, "not a picture"), is_written=False)

    assert future.result(0) == Failed(Blame.FILE, "not a picture")


def test_picture_that_cannot_be_sent_harms_no_worker(world: World):
    """What the process that speaks to Ray says of it is an answer like any other."""
    task = world.task()
    future = world.submit(task)
    task.source.unlink()
    told: list[Any] = []  # Any: events
    connection: Any = SimpleNamespace(send=told.append)  # Any: has no more than the driver needs
    RayDriver(connection, Access("head:1", carried_bytes=100)).carry(7, None, task)
    [event] = told
    world.say(task, event.value)

    assert future.result(0) == Failed(
        Blame.FILE, "the original vanished before it was read", "decode"
    )
    assert all(worker.is_alive for worker in world.workers.values())
    assert world.crew.depth == 4


@pytest.mark.parametrize(
    "said",
    [
        Unreadable(Failed(Blame.FILE, "the original vanished")),
        Failed(Blame.UNSURE, "may not be read"),
        None,
    ],
    ids=["unreadable", "closed", "written elsewhere"],
)
def test_large_picture_without_a_share_is_rejected(world: World, said: Unreadable | Failed | None):
    """No node can have it, and none of them is to blame: the person is told what to do."""
    task = world.task()
    future = world.submit(task)
    world.say(task, NotCarried(said_of(task, said), 3))
    failed = future.result(0)

    assert isinstance(failed, Failed)
    assert (failed.blame, failed.is_final) == (Blame.FILE, True)
    assert "the limit is 0.0 (worker.ray.transport_mb): raise it, or mount" in failed.reason
    assert world.crew.depth == 4


def test_large_picture_at_a_node_in_trouble_goes_to_another(world: World):
    """It has the share, and its disk is full: that is nothing against the picture."""
    task = world.task()
    future = world.submit(task)
    said = Failed(Blame.MACHINE, "No space left on device")
    world.say(task, NotCarried(said_of(task, said), 3))
    outcome = future.result(0)

    assert isinstance(outcome, Cancelled)


def test_large_picture_with_a_share_is_cut_out(world: World):
    """By its path, as without Ray's transport."""
    task = world.task()
    future = world.submit(task)
    task.part.write_bytes(b"result")
    world.say(task, NotCarried(said_of(task), 3))

    assert isinstance(future.result(0), Done)


def test_picture_that_was_growing_is_not_called_too_large(world: World):
    """It could not be sent at that moment; the next time it can."""
    task = world.task()
    future = world.submit(task)
    world.say(task, NotCarried(said_of(task, Unreadable(Failed(Blame.FILE, "vanished"))), 100))

    assert future.result(0) == Cancelled()


def test_share_that_goes_away_on_one_node(world: World):
    """It is not used until it sees the share again."""
    task = world.task()
    world.submit(task)
    [worker] = world.where(task)
    host = world.nodes[worker.node]
    host.change_facts = blind
    world.answer(task, Unreadable(Failed(Blame.FILE, "vanished")), is_written=False)
    world.pass_time(20.0)
    assert world.crew.depth == 2
    host.change_facts = lambda facts: facts
    world.pass_time(40.0)

    assert world.crew.depth == 4
    assert worker.is_alive  # its model stayed warm


def test_node_that_lacks_an_added_folder_is_not_used(tmp_path: Path):
    """It was warm before the reload: it is looked at anew, by what is wanted now."""
    new = tmp_path / "new"
    new.mkdir()

    def lacking(facts: NodeFacts) -> NodeFacts:
        gone = {new: replace(facts.places[new], fault="not there")} if new in facts.places else {}
        return replace(facts, places=facts.places | gone)

    world = World(tmp_path, node("n1", change_facts=lacking))
    world.pass_time(5.0)
    setup = world.keeper.setup
    request = replace(setup.request, written=(*setup.request.written, new))
    world.keeper.setup = replace(setup, request=request)
    task = replace(world.task(), part=new / ".cat.part")
    world.submit(task)
    world.answer(task, Failed(Blame.MACHINE, "gone"))
    world.pass_time(60.0)

    [seat] = world.crew.seats.values()
    assert seat.word == "off"
    assert f"cannot use {new}: not there" in seat.why


def test_share_that_comes_after_the_start_gets_its_canary(tmp_path: Path):
    """A node that mounts it with other inodes is refused once, and used after the next look."""

    def elsewhere(facts: NodeFacts) -> NodeFacts:
        places = {path: replace(one, inode=one.inode + 1) for path, one in facts.places.items()}
        return replace(facts, places=places)

    world = World(tmp_path, node("n1", change_facts=elsewhere))
    assert not (tmp_path / "out" / CANARY).exists()
    world.pass_time(5.0)

    assert (tmp_path / "out" / CANARY).exists()
    assert world.crew.depth == 2


def test_many_pictures_are_one_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """All that a worker has in work fails at once: it is told once, and soon looked at again."""
    world = World(tmp_path, node("n1", depth=8))
    world.pass_time(5.0)
    tasks = [world.task() for _ in range(8)]
    futures = [world.submit(task) for task in tasks]
    host = world.nodes["n1"]
    host.on_inspect = lambda: False
    for task in tasks:
        world.answer(task, Unreadable(Failed(Blame.FILE, f"{task.job_id} vanished")))
    told = [one.getMessage() for one in caplog.records if "is not used" in one.getMessage()]
    [seat] = world.crew.seats.values()

    assert [future.result(0) for future in futures] == [Cancelled()] * 8
    assert len(told) == 1
    assert seat.failures == 1


def behind(facts: NodeFacts) -> NodeFacts:
    """A clock that is a minute late."""
    return replace(facts, now=facts.now - 60)


def older(facts: NodeFacts) -> NodeFacts:
    """Another version of the program."""
    return replace(facts, version="0.1")


@pytest.mark.parametrize(
    ("change", "text", "mend"),
    [
        (blind, "cannot use", "mount it there, or name its place: worker.ray.paths"),
        (behind, "its clock is at least ", "timedatectl set-ntp true"),
        (older, "runs cvunetd 0.1", "pip install cvunet-daemon[ray]=="),
    ],
)
def test_node_that_differs_is_not_used(tmp_path: Path, change: object, text: str, mend: str):
    """It loads no model, the reason and what mends it are told, and the others work."""
    world = World(tmp_path, node("n1", change_facts=change), node("n2"))
    world.pass_time(5.0)
    [state] = [one for one in world.keeper.state(0).nodes if one.name == "n1"]

    assert world.crew.depth == 2
    assert text in state.workers[0].why
    assert mend in state.workers[0].why


def test_each_reason_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """Also that of a node that was never used, and not at each look."""
    host = node("n1", change_facts=older)
    world = World(tmp_path, host)
    world.pass_time(60.0)
    host.change_facts = blind
    world.pass_time(60.0)

    told = [one.getMessage() for one in caplog.records if "is not used" in one.getMessage()]
    assert ["runs cvunetd 0.1" in text for text in told] == [True, False]
    assert "cannot use" in told[1]


def test_worker_is_not_used_while_nobody_can_compare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The share is in trouble here: that says nothing good of the node."""

    def fail(request: object) -> NodeFacts:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("daemon.worker.engines.cluster.node_checks.inspect_node", fail)
    world = World(tmp_path, node("n1"))
    world.pass_time(5.0)
    assert world.crew.depth == 0
    assert "Input/output error" in world.keeper.trouble(world.now)
    monkeypatch.undo()
    world.pass_time(60.0)

    assert world.crew.depth == 2


def test_share_that_hangs_is_asked_for_seldom(world: World):
    """Each question would hold one more thread of the node."""
    task = world.task()
    world.submit(task)
    [worker] = world.where(task)
    asked: list[str] = []

    def hang() -> bool:
        asked.append("inspect_node")
        return False

    world.nodes[worker.node].on_inspect = hang
    world.answer(task, Failed(Blame.MACHINE, "Stale file handle"), is_written=False)
    world.pass_time(120.0)

    assert asked == ["inspect_node", "inspect_node"]
    assert world.crew.depth == 2


def test_only_worker_that_is_replaced_is_no_trouble(tmp_path: Path):
    """Folders would stand by and resume each time; if no worker comes, they do."""
    world = World(tmp_path, node("n1"))
    world.pass_time(5.0)
    assert world.keeper.trouble(world.now) == ""
    world.nodes["n1"].change_facts = blind
    world.break_worker(world.on("n1"))
    world.pass_time(5.0)
    assert world.keeper.trouble(world.now) == ""
    world.pass_time(30.0)

    assert "cannot use" in world.keeper.trouble(world.now)


def test_worker_that_greets_with_nonsense(tmp_path: Path):
    """It is replaced, ever more slowly."""
    world = World(tmp_path, node("n1", hello="hello?"))
    world.pass_time(60.0)

    assert world.crew.depth == 0
    assert "says nonsense: 'hello?'" in world.keeper.trouble(world.now)
    assert 3 <= len(world.workers) <= 8


def test_workers_log_lines_come_here(world: World, caplog: pytest.LogCaptureFixture):
    """With their fields, and with node and device."""
    line = Line(logging.WARNING, "daemon.worker.worker", "cat.jpg failed unforeseen", {"JOB": "7"})
    world.nodes["n1"].lines = (line,)
    world.pass_time(3.0)
    world.nodes["n1"].lines = ()
    [record] = [one for one in caplog.records if one.name == "daemon.worker.worker"]

    assert record.getMessage() == "n1: cat.jpg failed unforeseen"
    assert (record.levelno, vars(record)["JOB"]) == (logging.WARNING, "7")
    assert (vars(record)["NODE"], vars(record)["DEVICE"]) == ("n1", "cpu")


# --- the end -----------------------------------------------------------------------------------


def test_drain_gives_back_what_waits(world: World):
    """What workers have goes on, and nothing new begins."""
    futures = [world.submit(world.task()) for _ in range(6)]
    world.crew.drain()
    late = world.submit(world.task())

    assert [future.done() for future in futures] == [False] * 4 + [True] * 2
    assert late.result(0) == Cancelled()


# --- any history ---------------------------------------------------------------------------------

Futures = dict[Task, "Future[Outcome]"]
EVENTS = st.lists(
    st.sampled_from(
        [
            *("submit", "suspect", "finish", "kill", "cut", "join"),
            *("head", "back", "silent", "away", "wait"),
        ]
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(EVENTS, st.randoms(use_true_random=False))
def test_each_task_ends_once(
    tmp_path_factory: pytest.TempPathFactory, events: list[str], chance: Random
):
    """Whatever dies: one outcome each, no part left of attempts that are over, suspects alone."""
    world = World(tmp_path_factory.mktemp("any"), node("n1"), node("n2"))
    world.pass_time(5.0)
    futures: Futures = {}
    for number, event in enumerate(events):
        act(world, event, chance, futures, number)
        for worker in world.workers.values():
            held = list(worker.inside.values())
            if worker.is_alive and any(task.is_suspect for task in held):
                is_over = [futures[task].done() for task in held]
                assert len(held) - sum(is_over) <= 1
    world.is_up = True
    world.nodes = {"n1": node("n1"), "n2": node("n2")}
    for _ in range(200):  # a worker may take ten minutes to start
        for task in [task for one in world.workers.values() for task in one.inside.values()]:
            world.answer(task)
        world.pass_time(5.0)
        if all(future.done() for future in futures.values()):
            break
    world.pass_time(5.0)

    outcomes = {task: future.result(0) for task, future in futures.items()}
    assert all(task.part.exists() == isinstance(one, Done) for task, one in outcomes.items())


def act(  # noqa: C901  # a table of events
    world: World, event: str, chance: Random, futures: Futures, number: int
) -> None:
    """Let one thing happen."""
    alive = [one for one in world.workers.values() if one.is_alive]
    busy = [task for one in world.workers.values() for task in one.inside.values()]
    match event:
        case "submit" | "suspect":
            task = world.task(is_suspect=event == "suspect")
            futures[task] = world.submit(task)
        case "finish" if busy:
            world.answer(chance.choice(busy))
        case "kill" if alive:
            world.break_worker(chance.choice(alive), crash=chance.choice(["", CRASH]))
        case "cut" if world.nodes:
            world.lose_node(chance.choice(sorted(world.nodes)))
        case "join":
            world.nodes[f"m{number}"] = node(f"m{number}")
        case "head" if world.is_up:
            world.lose_head()
        case "back":
            world.is_up = True
        case "silent" if world.nodes:
            chance.choice(list(world.nodes.values())).is_silent = True
        case "away" if world.nodes:
            chance.choice(list(world.nodes.values())).is_away = True
    world.pass_time(chance.choice([0.5, 3.0, 40.0]))
