"""The whole pipeline on a CUDA device: from files to cut-outs, batch by batch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cvunet.inference.cuda_graphs import CapturedPass
from cvunet.inference.torch_predictor import TorchPredictor
from cvunet.network.network import CVUNet, NetworkConfig
from daemon.jobs import Done, Task
from daemon.worker.gauges import Limits
from daemon.worker.lanes import ServedModel
from daemon.worker.worker import Worker
from tests.samples import RENDERING

pytestmark = [pytest.mark.cuda, pytest.mark.timeout(300)]

NETWORK = NetworkConfig(width=0.35, aspp_channels=16, decoder_channels=(16, 8, 8, 8))
COUNT = 40


def tasks(folder: Path) -> list[Task]:
    """JPEGs of noise, no two alike."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(COUNT):
        source = folder / f"{number}.jpg"
        Image.fromarray(rng.integers(0, 256, (90, 120, 3), dtype=np.uint8)).save(source)
        made.append(Task(f"{number}", source, folder / f"{number}.part", RENDERING, 10**6))
    return made


def test_pictures_come_out_in_batches(tmp_path: Path):
    """All of them, by recorded passes, in fewer batches than there are pictures."""
    torch.manual_seed(0)
    predictor = TorchPredictor(
        CVUNet(NETWORK), device=torch.device("cuda:0"), precision="auto", input_size=256
    )
    limits = Limits(max_batch=8, max_wait_s=0.02, decoders=4, finishers=4, memory_bytes=10**9)
    steps: list[str] = []
    worker = Worker({"": ServedModel([predictor])}, limits)
    worker.warm(steps.append)
    futures = [worker.submit(task) for task in tasks(tmp_path)]
    outcomes = [future.result(120) for future in futures]
    worker.close()

    assert all(isinstance(outcome, Done) for outcome in outcomes)
    assert [step.rpartition(" ")[2] for step in steps] == ["8", "4", "2", "1"]
    assert predictor.batch_runner is not None
    assert all(isinstance(one, CapturedPass) for one in predictor.batch_runner.captured.values())
    load = worker.load["cuda:0"]
    assert load.pictures == COUNT
    assert load.batches < COUNT
    with Image.open(tmp_path / "0.part") as result:
        assert (result.mode, result.size) == ("RGBA", (120, 90))
