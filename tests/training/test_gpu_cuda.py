"""Recorded steps: their order with fakes, and the real thing where there is a CUDA device."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from cvunet.network.network import CVUNet
from cvunet.training import samples
from cvunet.training.gpu import roster
from cvunet.training.gpu.batches import Batch, Sampler
from cvunet.training.gpu.learning import WARM_STEPS, Learner
from cvunet.training.gpu.planner import Planner
from tests.training import gpu_kit, training_kit

SHAPE = 12, 64, True


def recording_learner() -> Learner:
    """A learner on the CPU that believes it has to record, and is warm."""
    recipe = gpu_kit.recipe()
    learner = Learner(CVUNet(recipe.network), recipe, gpu_kit.CPU)
    learner.is_recorded = True
    learner.warm[SHAPE] = WARM_STEPS
    return learner


def test_goes_on_where_nothing_can_be_recorded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """It is said loudly, and the step is done kernel by kernel."""

    def broken() -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(torch.cuda, "CUDAGraph", broken)
    learner = recording_learner()
    learner.learn(gpu_kit.batch(), 1e-3, is_trunk_only=True)

    assert "CANNOT BE RECORDED" in caplog.text
    assert learner.means()[0] > 0


def test_a_replay_sees_the_new_samples(monkeypatch: pytest.MonkeyPatch):
    """They are copied into the tensors that were recorded, before each replay."""
    seen: list[float] = []
    learner = recording_learner()

    class Graph:
        def replay(self) -> None:
            seen.append(float(learner.recorded[SHAPE].batch.rgb.mean()))

    @contextmanager
    def graph(*_: object, **__: object) -> Iterator[None]:
        yield

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    made = [gpu_kit.batch(number) for number in range(3)]
    for batch in made:
        learner.learn(batch, 1e-3, is_trunk_only=True)

    assert seen == [float(batch.rgb.mean()) for batch in made]


@pytest.fixture
def on_device(tmp_path_factory: pytest.TempPathFactory) -> tuple[Planner, Sampler]:
    """Planner and sampler with the pictures of `gpu_kit` on the GPU."""
    folder = tmp_path_factory.mktemp("data")
    training_kit.write_shards(folder)
    rosters = roster.assemble(
        samples.open_sources(folder, "train"),
        gpu_kit.recipe(),
        device=torch.device("cuda"),
        letterings=3,
        reserve_bytes=0,
    )
    return Planner(gpu_kit.recipe(), *rosters), Sampler(rosters[0].gallery, seed=3)


@pytest.mark.cuda
@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", range(4))
def test_a_gpu_makes_the_samples_of_a_cpu(on_device: tuple[Planner, Sampler], number: int):
    """Up to rounding; a rounded coefficient of JPEG's may fall to the other side here and there."""
    planner, sampler = on_device
    there = sampler.make(planner.plan(number, count=16, size=64))
    here = gpu_kit.batch(number, count=16)

    for name in ("rgb", "alpha", "contrast", "known"):
        difference = (getattr(there, name).cpu() - getattr(here, name)).abs()
        assert float(difference.mean()) < 1e-3, name


@pytest.mark.cuda
@pytest.mark.timeout(300)
def test_recorded_steps_learn(on_device: tuple[Planner, Sampler]):
    """Two shapes are recorded, none falls back, and the loss falls on the same samples."""
    planner, sampler = on_device
    recipe = gpu_kit.recipe(augmentation=gpu_kit.NOTHING)
    torch.manual_seed(0)
    learner = Learner(CVUNet(recipe.network), recipe, torch.device("cuda"))
    batches: list[tuple[Batch, bool]] = [
        (sampler.make(planner.plan(number, count=8, size=size)), is_trunk_only)
        for number, size, is_trunk_only in ((0, 64, True), (1, 96, False))
    ]
    losses = []
    for _ in range(30):
        learner.restart()
        for batch, is_trunk_only in batches:
            learner.learn(batch, 3e-3, is_trunk_only=is_trunk_only)
        losses.append(learner.means()[0])

    assert set(learner.recorded) == {(8, 64, True), (8, 96, False)}
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.cuda
@pytest.mark.timeout(300)
def test_the_cpu_never_waits(on_device: tuple[Planner, Sampler]):
    """Neither for a sample nor for a step: torch raises where a number would come back."""
    planner, sampler = on_device
    learner = Learner(CVUNet(gpu_kit.recipe().network), gpu_kit.recipe(), torch.device("cuda"))
    for number in range(WARM_STEPS + 2):
        batch = sampler.make(planner.plan(number, count=16, size=64))
        learner.learn(batch, 1e-3, is_trunk_only=True)
    with warnings.catch_warnings():  # that the mode is a prototype
        warnings.simplefilter("ignore")
        torch.cuda.set_sync_debug_mode("error")
    try:
        for number in range(10, 20):
            batch = sampler.make(planner.plan(number, count=16, size=64))
            learner.learn(batch, 1e-3, is_trunk_only=True)
    finally:
        torch.cuda.set_sync_debug_mode("default")

    assert learner.step == WARM_STEPS + 12
