"""What the process that speaks to Ray tells of a call, without Ray."""

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import Blame, counted
from daemon.jobs import Failed, Task
from daemon.worker.engines.cluster import payloads
from daemon.worker.engines.cluster.access import Access
from daemon.worker.engines.cluster.judging import Nonsense, NotCarried, Reply, Unreadable
from daemon.worker.engines.cluster.messages import Answered, Broken, Run, Start
from daemon.worker.engines.cluster.node_worker import Answer, Hello
from daemon.worker.engines.cluster.payloads import Payload
from daemon.worker.engines.cluster.wording import in_words, why_not_joined
from daemon.worker.engines.ray import RayDriver, event_of
from tests.samples import RENDERING
from tests.system.daemon_process import wait_for


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (Hello("cpu", 2), Hello("cpu", 2)),
        ("hello", Nonsense("hello")),
        (Hello("cpu", "2"), Nonsense("Hello(device='cpu', depth='2')")),  # type: ignore[arg-type]
    ],
)
def test_only_what_we_know_is_passed_on(value: object, told: object):
    """Something else may be impossible to send: its beginning goes in its place."""
    future: Future[object] = Future()
    future.set_result(value)

    assert event_of(7, future, Answer) == Answered(7, told)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "1 worker(s) were killed due to the node running low on memory. Memory on the node (…",
            "hardly any memory left",
        ),
        ("The actor died because its node has died.", "its node has died, or is cut off"),
        (
            "The actor 2dc2 is unavailable: The actor is temporarily unavailable: RpcError: RPC",
            "its connection has broken off",
        ),
        ("worker process has died unexpectedly", "its process has ended"),
        ("something\nclass_name: NodeWorker\nelse", "something else"),
    ],
)
def test_rays_messages_are_told_in_few_words(text: str, words: str):
    """Without numbers that only Ray knows."""
    assert words in in_words(text)


def test_versions_that_differ_are_told_with_what_to_do():
    """Both of both, as Ray 2.60 writes them."""
    text = (
        "RuntimeError: Version mismatch: The cluster was started with:\n    Ray: 2.60.0\n"
        "    Python: 3.11.7\nThis process on node 10.0.0.5 was started with:\n"
        "    Ray: 2.59.0\n    Python: 3.12.1\n"
    )

    assert why_not_joined(text) == (
        "runs Ray 2.60.0 on Python 3.11.7, and this machine Ray 2.59.0 on Python 3.12.1:"
        " install the same on all machines"
    )
    assert why_not_joined("a time-out") == "cannot be joined: a time-out"


def test_numbers_have_their_noun():
    """One of them is no plural."""
    assert [counted(count, "worker") for count in (0, 1, 2)] == [
        "0 workers",
        "1 worker",
        "2 workers",
    ]


@pytest.mark.parametrize(
    ("resource", "seats"), [("cvunetd", 2), ("cvunetd_a", 0), ("cvunetd_b", 1)]
)
def test_gpus_of_a_node_belong_to_the_daemon_that_it_names(resource: str, seats: int):
    """Two daemons on one cluster would wait for one GPU; the usual name need not be said."""
    driver = RayDriver(Told(), Access("head:1", resource=resource))  # type: ignore[arg-type]
    driver.carriers.shutdown()
    found = {"NodeID": "1", "NodeManagerHostname": "n1", "NodeManagerAddress": "10.0.0.1"}
    node = driver.node_of(found | {"Resources": {"GPU": 2.0, "cvunetd_b": 1.0}})

    assert node.seats == seats


@pytest.mark.ray
def test_calls_leave_no_records_on_the_head(monkeypatch: pytest.MonkeyPatch):
    """They took 3 kB of its memory for each picture."""
    import ray

    asked: dict[str, object] = {}

    class Kind:
        """What Ray makes of a class."""

        def __init__(self, kind: type) -> None:
            self.kind = kind

        def options(self, **options: object) -> "Kind":
            """Note them."""
            asked.update(options)
            return self

        def remote(self, setup: bytes) -> None:
            """Nobody is there."""

    monkeypatch.setattr(ray, "remote", Kind)
    driver = RayDriver(Told(), Access("head:1"))  # type: ignore[arg-type]
    driver.carriers.shutdown()
    driver.obey(Start(1, "00" * 28, 0, is_share=True, setup=b""))

    assert asked["enable_task_events"] is False
    assert asked["resources"] == {"cvunetd": 1}


# --- pictures that travel ------------------------------------------------------------------------


class Told(list[Any]):  # Any: events
    """The engine's end of the socket."""

    send = list.append


class Worker:
    """A handle of Ray's whose methods do the same with each call."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act
        self.run = self.run_payload = self

    def remote(self, *arguments: object) -> "Worker":
        """A call that has not returned yet."""
        self.answer: Future[object] = Future()
        self.answer.set_result(self.act())
        return self

    def future(self) -> "Future[object]":
        """What becomes of the call."""
        return self.answer


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """A picture of seven bytes."""
    (tmp_path / "cat.jpg").write_bytes(b"picture")
    return Task("1", tmp_path / "cat.jpg", tmp_path / ".1.part", RENDERING, 10**6)


def told_of(task: Task, act: Callable[[], object], *, max_bytes: int) -> list[Any]:  # Any: events
    """What the engine hears of a picture that goes to such a worker."""
    told = Told()
    driver = RayDriver(told, Access("head:1", carried_bytes=max_bytes))  # type: ignore[arg-type]
    driver.workers[7] = Worker(act)
    driver.obey(Run(3, 7, task))
    assert wait_for(lambda: bool(told), patience_s=50)
    driver.carriers.shutdown()
    assert driver.refs == {}
    return told


def test_picture_that_cannot_be_handed_to_ray_is_told(task: Task):
    """Ray has no room for it, or whatever: the engine would wait for ever."""

    def act() -> object:
        raise RuntimeError("no room for objects")

    assert told_of(task, act, max_bytes=100) == [
        Broken(3, "RuntimeError: no room for objects", is_death=False)
    ]


def test_result_that_cannot_be_unpacked_is_told(task: Task, monkeypatch: pytest.MonkeyPatch):
    """Whatever goes wrong with it."""

    def written(*arguments: object) -> Reply:
        raise MemoryError("no room")

    monkeypatch.setattr(payloads, "written", written)
    made = (Failed(Blame.FILE, "no picture"), Payload(task))

    [event] = told_of(task, lambda: made, max_bytes=100)
    assert event == Broken(3, "MemoryError: no room", is_death=False)


def test_large_picture_goes_by_its_path(task: Task):
    """The engine is told, because its worker may see no share."""
    reply = Reply("1", Unreadable(Failed(Blame.FILE, "vanished")))

    assert told_of(task, lambda: reply, max_bytes=6) == [Answered(3, NotCarried(reply, 6))]
    assert told_of(task, lambda: "no reply", max_bytes=6) == [Answered(3, Nonsense("no reply"))]
