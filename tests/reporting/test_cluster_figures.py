"""What is told of a cluster: to Prometheus, to the page, and to people."""

from dataclasses import asdict

from daemon.commands import status_text
from daemon.reporting.cluster_figures import figures
from daemon.worker.engines.cluster.state import ClusterState, NodeState, WorkerState

WARM = WorkerState("warm", "cuda:0", running=3, done=40, pictures_per_s=0.7, restarts=1)
OFF = WorkerState("off", "cpu", why="its clock is at least 60.0 s behind")
CLUSTER = ClusterState(
    "head:1",
    "",
    (
        NodeState("a", "10.0.0.1", (WARM, OFF)),
        NodeState("b", "10.0.0.2", (), "it has no GPU"),
    ),
)


def test_figures_of_workers():
    """By node, worker and device."""
    found = {
        (figure.name, *values): number
        for figure in figures(CLUSTER)
        for values, number in figure.values
    }

    assert found["cluster_up",] == 1
    assert found["node_workers", "a (10.0.0.1)", "warm"] == 1
    assert found["node_workers", "a (10.0.0.1)", "off"] == 1
    assert found["node_workers", "b (10.0.0.2)", "warm"] == 0
    assert found["worker_running", "a (10.0.0.1)", "1", "cuda:0"] == 3
    assert found["worker_pictures", "a (10.0.0.1)", "1", "cuda:0"] == 40
    assert found["worker_restarts", "a (10.0.0.1)", "1", "cuda:0"] == 1


def test_cluster_without_a_worker_is_down():
    """An alert depends on it."""
    [up] = [one for one in figures(ClusterState("head:1", "away")) if one.name == "cluster_up"]

    assert up.values == (((), 0.0),)


def test_status_names_nodes_and_reasons():
    """Each worker has a line; so has a node that is not used."""
    assert list(status_text.cluster(asdict(CLUSTER))) == [
        "  cluster at head:1: 2 nodes",
        "    node a (10.0.0.1): warm on cuda:0, 3 in work, 40 done, 0.7 a second in the last"
        " minute, 1 restart",
        "    node a (10.0.0.1): off: its clock is at least 60.0 s behind",
        "    node b (10.0.0.2) is not used: it has no GPU",
    ]


def test_status_of_one_machine_says_nothing_of_clusters():
    """Nobody asks."""
    assert list(status_text.cluster(None)) == []


def test_trouble_of_the_cluster_is_told():
    """It is why the folders stand by."""
    [line] = status_text.cluster(asdict(ClusterState("head:1", "no cluster answers at head:1")))

    assert line == "  cluster at head:1: 0 nodes: no cluster answers at head:1"
