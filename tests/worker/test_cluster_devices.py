"""What a worker of a cluster finds on its node: a GPU or none, a disk with or without room."""

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.errors import Blame, DeviceError
from daemon.jobs import Cancelled, Failed, Task
from daemon.settings import ModelSettings
from daemon.worker import predictors
from daemon.worker.engines.cluster.messages import Node
from daemon.worker.engines.cluster.node_checks import NO_CUDA, NodeRequest, inspect_node
from daemon.worker.engines.cluster.node_worker import NodeWorker, Setup
from daemon.worker.engines.cluster.path_maps import PathMap
from daemon.worker.engines.cluster.payloads import Payload
from daemon.worker.engines.cluster.seats import Seat
from daemon.worker.engines.direct import DirectEngine
from tests.samples import RENDERING
from tests.worker.cluster_kit import SETTINGS

AUTO = ModelSettings(name="", file=Path("weights.pth"))
ON_CPU = replace(AUTO, devices=("cpu",))
SECOND = replace(AUTO, devices=("cuda:1",))


def fault(
    monkeypatch: pytest.MonkeyPatch, present: str, *models: ModelSettings, has_gpu: bool = True
) -> str:
    """What a node says of its GPU whose best device is ``present``, and that has no second one."""

    def found(model: ModelSettings) -> list[str]:
        if model.devices == ("auto",):
            return [present]
        if model.devices == ("cuda:1",):
            raise DeviceError("device 'cuda:1' is absent")
        return list(model.devices)

    monkeypatch.setattr(predictors, "found_devices", found)
    return inspect_node(NodeRequest((), (), served=models), has_gpu=has_gpu).gpu_fault


@pytest.mark.parametrize(
    ("present", "model", "has_gpu", "expected"),
    [
        ("cuda:0", AUTO, True, ""),
        ("cpu", AUTO, True, NO_CUDA),
        ("cpu", replace(AUTO, devices=("cuda",)), True, NO_CUDA),
        ("cpu", ON_CPU, True, ""),
        ("cpu", AUTO, False, ""),
        ("cuda:0", SECOND, True, "device 'cuda:1' is absent"),
    ],
)
def test_gpu_that_is_none_is_told(
    monkeypatch: pytest.MonkeyPatch,
    present: str,
    model: ModelSettings,
    has_gpu: bool,
    expected: str,
):
    """Ray counts GPUs and does not look for them; whoever wants the CPU gets it."""
    assert fault(monkeypatch, present, model, has_gpu=has_gpu) == expected


@pytest.mark.parametrize(
    ("model", "has_gpu", "devices"),
    [
        (AUTO, True, ("auto",)),
        (AUTO, False, ("cpu",)),
        (SECOND, False, ("cuda:1",)),
        (ON_CPU, True, ("cpu",)),
    ],
)
def test_worker_without_a_gpu_of_its_own_uses_the_cpu(
    model: ModelSettings, has_gpu: bool, devices: tuple[str, ...]
):
    """The node's GPUs belong to others; only who names one takes it all the same."""
    worker = NodeWorker.__new__(NodeWorker)
    worker.setup = Setup(SETTINGS, NodeRequest((), ()), "n1", "", has_gpu=has_gpu)
    worker.paths = PathMap((), name="n1", address="")

    assert [one.devices for one in worker.models((model,))] == [devices]


@pytest.mark.parametrize(
    ("node", "model", "share"),
    [
        (Node("n", "n", "", gpus=2), AUTO, (0, 1)),
        (Node("n", "n", "", gpus=2), ON_CPU, (1, 2)),
        (Node("n", "n", "", shares=2), AUTO, (1, 2)),
    ],
)
def test_workers_on_a_cpu_share_it(node: Node, model: ModelSettings, share: tuple[int, int]):
    """Those on GPUs use all processors each; so must none that computes on them."""
    assert Seat(node, 1).share((model,)) == share


def test_full_disk_of_a_node_is_the_machines(monkeypatch: pytest.MonkeyPatch):
    """Pictures that travel through Ray are written there: none of them is blamed."""

    def fail(*arguments: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "mkdtemp", fail)
    worker = NodeWorker.__new__(NodeWorker)
    worker.engine = DirectEngine(lambda task: Cancelled())
    task = Task("7", Path("a"), Path("b"), RENDERING, 10**6)
    outcome, made = asyncio.run(worker.run_payload(Payload(task)))

    assert isinstance(outcome, Failed)
    assert (outcome.blame, made.contents) == (Blame.MACHINE, {})
