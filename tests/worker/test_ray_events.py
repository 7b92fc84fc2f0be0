"""What the process that speaks to Ray tells of a call, without Ray."""

from concurrent.futures import Future

import pytest

from daemon.errors import counted
from daemon.worker.engines.cluster.judging import Nonsense
from daemon.worker.engines.cluster.messages import Answered
from daemon.worker.engines.cluster.node_worker import Answer, Hello
from daemon.worker.engines.cluster.wording import in_words, why_not_joined
from daemon.worker.engines.ray import event_of


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
