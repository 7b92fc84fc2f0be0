"""`cvunetd doctor` with a cluster: one finding for each fault of each node, with what mends it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.commands.checks import nodes as checks
from daemon.commands.findings import Severity
from daemon.worker.engines.cluster import visits
from daemon.worker.engines.cluster.access import Access
from daemon.worker.engines.cluster.messages import (
    Answered,
    Broken,
    Command,
    Event,
    Lost,
    Node,
    Seen,
    Visit,
)
from daemon.worker.engines.cluster.node_checks import NodeFacts, NodeRequest, inspect_node
from daemon.worker.engines.cluster.visits import Visited, Visits

NODE = Node("a", "alpha", "10.0.0.1", shares=1)
BARE = Node("b", "beta", "10.0.0.2")
Answer = Callable[[Visit], Event | None]


class FakeDriver:
    """A cluster of two nodes that answer as a test wants it."""

    def __init__(self, hear: Callable[[Any, Event], object], answer: Answer) -> None:
        self.hear = hear
        self.answer = answer
        hear(self, Seen((NODE, BARE)))

    def send(self, command: Command) -> None:
        """Answered at once, or never."""
        assert isinstance(command, Visit)
        event = self.answer(command)
        if event is not None:
            self.hear(self, event)

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def node_request(tmp_path: Path) -> NodeRequest:
    """One folder."""
    return NodeRequest((tmp_path,), ())


def visit(node_request: NodeRequest, answer: Answer) -> list[Visited] | str:
    """One round."""
    round_ = Visits(Access("head:1"), node_request, lambda access, hear: FakeDriver(hear, answer))
    return round_.run()


def findings(found: list[Visited] | str) -> list[tuple[Severity, str, str]]:
    """What the doctor makes of it."""
    assert isinstance(found, list)
    lines = [one for visited in found for one in checks.node_findings(visited, "cvunetd")]
    return [(one.severity, one.check, one.mend) for one in lines]


def test_nodes_that_see_the_same_pass(node_request: NodeRequest):
    """A node without a worker is a warning, with the command that uses it."""
    found = findings(visit(node_request, lambda one: Answered(one.call, inspect_node(one.request))))

    assert [one[:2] for one in found] == [
        (Severity.PASS, "node alpha"),
        (Severity.WARN, "node beta"),
    ]
    assert "ray start" in found[1][2]


def test_we_look_once_however_many_nodes_there_are(
    node_request: NodeRequest, monkeypatch: pytest.MonkeyPatch
):
    """Our own shares may be slow, and each look makes a file."""
    requests: list[NodeRequest] = []

    def count(asked: NodeRequest) -> NodeFacts:
        requests.append(asked)
        return inspect_node(asked)

    monkeypatch.setattr(visits, "inspect_node", count)
    found = visit(node_request, lambda one: Answered(one.call, inspect_node(one.request)))

    assert len(found) == 2
    assert requests == [node_request]


def test_each_difference_is_a_finding(node_request: NodeRequest):
    """With its own remedy."""

    def answer(one: Visit) -> Event:
        facts: NodeFacts = inspect_node(one.request)
        theirs = replace(facts, version="0.1", now=facts.now - 90, gpu_fault="torch sees none")
        return Answered(one.call, theirs)

    found = [one for one in findings(visit(node_request, answer)) if "alpha" in one[1]]

    assert [(one[0], one[1]) for one in found] == [
        (Severity.FAIL, "node alpha program"),
        (Severity.FAIL, "node alpha GPU"),
        (Severity.FAIL, "node alpha clock"),
    ]
    assert "--num-gpus=0" in found[1][2]
    assert found[2][2] == "there: timedatectl set-ntp true"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            lambda one: Broken(one.call, "ModuleNotFoundError: No module named 'daemon'"),
            "No module",
        ),
        (lambda one: Answered(one.call, "hello"), "says nonsense: 'hello'"),
    ],
)
def test_node_that_cannot_be_asked_fails(node_request: NodeRequest, answer: Answer, told: str):
    """It says why, and what to install."""
    found = visit(node_request, answer)

    assert isinstance(found, list)
    assert told in found[0].trouble
    assert {one[0] for one in findings(found)} == {Severity.FAIL}


def test_node_that_says_nothing_fails(node_request: NodeRequest, monkeypatch: pytest.MonkeyPatch):
    """The others are told all the same."""
    monkeypatch.setattr(visits, "PATIENCE_S", 0.2)
    found = visit(
        node_request,
        lambda one: Answered(one.call, inspect_node(one.request)) if one.node == NODE else None,
    )

    assert isinstance(found, list)
    assert [one.trouble for one in found] == ["", "it has not answered for 0 s"]


def test_cluster_that_cannot_be_joined(node_request: NodeRequest):
    """One line says why."""
    assert (
        visit(node_request, lambda one: Lost("no cluster answers at head:1"))
        == "no cluster answers at head:1"
    )


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("no cluster answers at head:1", "start Ray's head at head:1"),
        ("no token for the cluster at head:1: none was found", "RAY_AUTH_TOKEN_PATH="),
    ],
)
def test_remedy_fits_the_reason(reason: str, told: str):
    """systemd gives the token to the units alone: a person's shell has to name its file."""
    assert told in checks.remedy(reason, "head:1", Path("config.yaml"))
