"""Whether a value that another machine has sent has the types of ours."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import Blame
from daemon.jobs import Cancelled, Done, Failed, Identity, Task
from daemon.worker.engines.cluster.judging import Reply, Unreadable
from daemon.worker.engines.cluster.node_checks import NodeRequest, inspect_node
from daemon.worker.engines.cluster.node_worker import Answer, Carried, Hello, Report
from daemon.worker.engines.cluster.payloads import Payload
from daemon.worker.engines.cluster.shapes import fits
from daemon.worker.gauges import Load
from tests.samples import RENDERING

DONE = Done(Identity(1, 2, 3, 4), 4, 3, {"decode": 0.1}, warnings=("odd",), foreground=(1, 2, 3, 4))
WRONG_FIELDS: list[dict[str, Any]] = [  # Any: wrong ones
    {"identity": (1, 2, 3, 4)},
    {"width": None},
    {"seconds": {"decode": "long"}},
    {"warnings": ["odd"]},
    {"foreground": (1, 2, 3)},
]
TASK = Task("7", Path("a"), Path("b"), RENDERING, 10**6)


@dataclass(frozen=True, slots=True)
class Other:
    """Of the same fields as `Hello`."""

    device: str
    depth: int


@pytest.mark.parametrize(
    "value",
    [
        Reply("7", DONE),
        Reply("7", Cancelled()),
        Reply("7", Failed(Blame.FILE, "no picture")),
        Reply("7", Unreadable(Failed(Blame.FILE, "vanished"))),
        Hello("cpu", 2),
        Report({"decode": 1}, {"cpu": Load()}, {}, {"7": "decode"}),
        inspect_node(NodeRequest((Path("/"),), ())),
        None,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_worker_says_fits(value: object):
    """Everything that an honest one can say."""
    assert fits(value, Answer)


@pytest.mark.parametrize(
    "value",
    [
        "hello",
        7,
        DONE,
        lambda: DONE,
        Other("cpu", 2),
        Hello("cpu", True),
        Hello("cpu", 2.5),  # type: ignore[arg-type]
        Reply("7", "done"),  # type: ignore[arg-type]
        Reply(7, DONE),  # type: ignore[arg-type]
        *(Reply("7", replace(DONE, **changed)) for changed in WRONG_FIELDS),
        Reply("7", Failed("file", "no picture")),  # type: ignore[arg-type]
        Report({"decode": 1}, {"cpu": 2}, {}, {}),  # type: ignore[dict-item]
    ],
    ids=lambda value: type(value).__name__,
)
def test_nonsense_does_not_fit(value: object):
    """Another class, and any field of another type, however deep."""
    assert not fits(value, Answer)


def test_value_without_a_field_does_not_fit():
    """It was made without its constructor, as unpickling may do it."""
    assert not fits(object.__new__(Hello), Answer)


@pytest.mark.parametrize(
    ("value", "is_right"),
    [((DONE, Payload(TASK, {"a": b""})), True), (DONE, False), ((DONE,), False), ((1, 2), False)],
)
def test_pairs_have_both(value: Any, is_right: bool):  # Any: nonsense is the point
    """An outcome, and what was made."""
    assert fits(value, Carried) is is_right
