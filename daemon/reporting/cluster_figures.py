"""The figures of a cluster: which node has how many workers, how fast, and which is not used."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from daemon.worker.engines.cluster.state import ClusterState, NodeState, WorkerState, WorkerWord

WORDS: tuple[str, ...] = get_args(WorkerWord)


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric, before it gets a library's form."""

    name: str
    text: str
    labels: tuple[str, ...]
    values: tuple[tuple[tuple[str, ...], float], ...]
    """Values of the labels, and the number."""
    is_counter: bool = False


def figures(cluster: ClusterState) -> Iterator[Figure]:
    """Yield all figures; two nodes of one name are told apart by their addresses."""
    workers = list(workers_of(cluster))
    yield Figure(
        "cluster_up",
        "1 if at least one worker of the cluster takes pictures.",
        (),
        (((), float(cluster.warm > 0)),),
    )
    yield Figure(
        "node_workers",
        "Workers of a node by what they do: warm ones take pictures.",
        ("node", "state"),
        tuple(
            ((label(node), word), float(sum(one.word == word for one in node.workers)))
            for node in cluster.nodes
            for word in WORDS
        ),
    )
    about = ("node", "worker", "device")
    yield Figure(
        "worker_running",
        "Pictures in a worker.",
        about,
        tuple((labels, float(one.running)) for labels, one in workers),
    )
    yield Figure(
        "worker_pictures",
        "Pictures that a worker has cut out.",
        about,
        tuple((labels, float(one.done)) for labels, one in workers),
        is_counter=True,
    )
    yield Figure(
        "worker_restarts",
        "How often a worker was lost and started again.",
        about,
        tuple((labels, float(one.restarts)) for labels, one in workers),
        is_counter=True,
    )


def workers_of(cluster: ClusterState) -> Iterator[tuple[tuple[str, ...], WorkerState]]:
    """Yield each worker with the values of its labels."""
    for node in cluster.nodes:
        for number, worker in enumerate(node.workers, 1):
            yield (label(node), str(number), worker.device), worker


def label(node: NodeState) -> str:
    """Return a node's name, which may not be its own alone, with its address."""
    return f"{node.name} ({node.address})"
