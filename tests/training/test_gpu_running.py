"""Steps, schedule and files of the run by time."""

import csv
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from cvunet import weights
from cvunet.errors import TrainingError
from cvunet.network.network import CVUNet
from cvunet.training.gpu import __main__ as program
from cvunet.training.gpu import outputs, starts
from cvunet.training.gpu.budget import Budget
from cvunet.training.gpu.learning import Learner, Memory
from cvunet.training.gpu.running import LOG, Run
from cvunet.training.losses import Target, matting_loss
from tests.training import gpu_kit


def learner() -> Learner:
    """A small network, the same in every test."""
    torch.manual_seed(0)
    recipe = gpu_kit.recipe(ema_decay=0.5)
    return Learner(CVUNet(recipe.network), recipe, gpu_kit.CPU)


def steps_of(count: int) -> Callable[[], float]:
    """A clock that passes a second at each look; a run looks twice per step."""
    seconds: Iterator[int] = iter(range(10 * count))
    return lambda: float(next(seconds))


def run(folder: Path, trained: Learner, *, stop_after: int = 3, number: int = 0) -> Run:
    """A run that is asked to stop after some steps."""
    planner = gpu_kit.planner(ema_decay=0.5)
    asked = iter([False] * (stop_after - 1) + [True])
    return Run(
        learner=trained,
        planner=planner,
        sampler=gpu_kit.sampler(),
        budget=Budget(planner.recipe, deadline_s=60.0, clock=steps_of(30)),
        folder=folder,
        number=number,
        is_stopped=lambda: next(asked),
    )


def test_learns_one_batch_by_heart():
    """Over 24 steps on the same samples the loss falls by a third."""
    trained = learner()
    batch = gpu_kit.batch(count=3, mixture=gpu_kit.SALIENT, augmentation=gpu_kit.NOTHING)
    losses = []
    for _ in range(24):
        trained.restart()
        trained.learn(batch, 5e-3, is_trunk_only=True)
        losses.append(trained.means()[0])

    assert np.mean(losses[-3:]) < 0.67 * np.mean(losses[:3])


def test_goes_on_without_a_compiler(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Where the compiler fails, it is said loudly, and the step is done without."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no C compiler")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: broken)
    recipe = gpu_kit.recipe()
    trained = Learner(CVUNet(recipe.network), recipe, gpu_kit.CPU, compiler="inductor")
    trained.learn(gpu_kit.batch(), 1e-3, is_trunk_only=True)

    assert "CANNOT BE COMPILED" in caplog.text
    assert trained.means()[0] > 0


def test_average_follows():
    """What is written is not the network itself but its average, after every step."""
    trained = learner()
    before = trained.average.model.head.weight.clone()
    trained.learn(gpu_kit.batch(), 1e-2, is_trunk_only=True)
    now, average = trained.model.head.weight, trained.average.model.head.weight

    assert not torch.equal(before, average)
    assert not torch.equal(now, average)


def test_places_that_are_not_known_do_not_count():
    """However wrong an answer is on the rim, the loss stays."""
    alpha = torch.zeros(1, 1, 32, 32)
    alpha[..., 8:24, 8:24] = 1
    known = torch.ones_like(alpha)
    known[..., 6:10, :] = 0
    logits = torch.randn(1, 1, 32, 32)
    other = torch.where(known > 0, logits, -5 * logits)
    coarse = torch.zeros(1, 1, 2, 2)
    target = Target(alpha, torch.zeros_like(alpha), torch.tensor([False]), known)
    losses = [float(matting_loss(each, coarse, target)) for each in (logits, other)]
    everywhere = dataclasses.replace(target, known=None)

    assert losses[0] == pytest.approx(losses[1])
    assert losses[0] != pytest.approx(float(matting_loss(logits, coarse, everywhere)))


def test_schedule_ends_with_the_time():
    """The rate rises in the first 3 %, falls by a cosine, and phases take their share of time."""
    seconds = iter((0.0, 0.0, 3.0, 50.0, 74.0, 76.0, 100.0))
    budget = Budget(gpu_kit.recipe(), deadline_s=100.0, clock=lambda: next(seconds))
    turns = [budget.turn(0) for _ in range(6)]
    rates = [turn.rate for turn in turns]

    assert [turn.is_trunk_only for turn in turns] == [True, True, True, True, False, False]
    assert [turn.size for turn in turns] == [64, 64, 64, 64, 96, 96]
    assert [turn.count for turn in turns] == [4, 4, 4, 4, 2, 2]
    assert rates[0] < 0.02 * rates[1]
    assert rates[1] > rates[2] > rates[3] > rates[4] > rates[5]
    assert rates[5] == pytest.approx(1e-5)


def test_schedule_goes_on_where_it_was():
    """A run that was stopped at 40 % does the other 60 % in its new time."""
    now = 0.0
    budget = Budget(
        gpu_kit.recipe(), deadline_s=10.0, first_share=0.4, batch=8, size=32, clock=lambda: now
    )
    now = 5.0

    assert budget.turn(0).share == pytest.approx(0.7)
    assert (budget.turn(0).count, budget.turn(0).size) == (8, 32)


def test_files_of_a_run(tmp_path: Path):
    """Averaged weights that the predictor takes, state, a row of figures, a sheet; all small."""
    run(tmp_path, learner()).go()
    with (tmp_path / LOG).open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))

    assert {path.name for path in tmp_path.iterdir()} == {
        *("average.pth", "manifest.yaml", "state.pt", "moments.pt", "log.csv", "sheet.jpg")
    }
    assert isinstance(weights.load(tmp_path / "average.pth"), CVUNet)
    assert [row["step"] for row in rows] == ["3"]
    assert int(rows[0]["samples"]) > 0


def test_resumes(tmp_path: Path):
    """Weights, average, optimiser and the next batch are those of the run that was stopped."""
    stopped = learner()
    first = run(tmp_path, stopped)
    first.go()
    resumed = learner()
    number, share = starts.resume(resumed, tmp_path)
    before, after = (
        each.optimiser.state[each.model.head.weight]["exp_avg"] for each in (stopped, resumed)
    )

    assert (number, resumed.step) == (3, 3)
    assert 0 < share < 1
    assert all(
        map(torch.equal, stopped.model.state_dict().values(), resumed.model.state_dict().values())
    )
    assert torch.allclose(before, after, rtol=1e-2, atol=1e-8)
    run(tmp_path, resumed, number=number).go()
    assert resumed.step == 6


def test_resumes_without_the_optimisers_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """A machine that went away between two files costs the memory, not the run."""
    run(tmp_path, learner()).go()
    (tmp_path / starts.MOMENTS).unlink()
    resumed = learner()
    starts.resume(resumed, tmp_path)

    assert "begins anew" in caplog.text
    assert not resumed.optimiser.state


def test_state_cut_short_is_refused(tmp_path: Path):
    """By name."""
    run(tmp_path, learner()).go()
    (tmp_path / starts.STATE).write_bytes(b"PK")

    with pytest.raises(TrainingError, match=r"state\.pt: cannot be read"):
        starts.resume(learner(), tmp_path)


def test_state_that_is_no_number_is_refused(tmp_path: Path):
    """By name: no rescue could mend it."""
    run(tmp_path, learner()).go()
    state = torch.load(tmp_path / starts.STATE)
    state["model"]["head.weight"].fill_(float("nan"))
    torch.save(state, tmp_path / starts.STATE)

    with pytest.raises(TrainingError, match=r"state\.pt: holds weights that are no numbers"):
        starts.resume(learner(), tmp_path)


def test_what_is_written_every_minute_is_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Weights may have become no numbers since the last look, three seconds ago."""
    monkeypatch.setattr("cvunet.training.gpu.running.SAVE_EVERY_S", 0.0)
    trained = learner()
    learn = trained.learn

    def spoil(*args: object, **kwargs: object) -> None:
        learn(*args, **kwargs)  # type: ignore[arg-type]
        if trained.step == 2:
            with torch.no_grad():
                trained.model.head.weight.fill_(float("nan"))
            learn(*args, **kwargs)  # type: ignore[arg-type]

    trained.learn = spoil  # type: ignore[method-assign]
    run(tmp_path, trained, stop_after=3).go()

    assert torch.load(tmp_path / starts.STATE)["model"]["head.weight"].isfinite().all()


def test_bad_loss_goes_back(tmp_path: Path):
    """Weights that are no numbers are not kept; the network is as it was at the last look."""
    trained = learner()
    trained.learn(gpu_kit.batch(), 1e-3, is_trunk_only=True)
    memory = Memory(trained)
    good = [tensor.clone() for tensor in trained.tensors()]
    with torch.no_grad():
        trained.model.head.weight.fill_(float("nan"))
    trained.learn(gpu_kit.batch(1), 1e-3, is_trunk_only=True)
    memory.go_back()

    assert all(map(torch.equal, good, trained.tensors()))


def test_bad_losses_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """After three rescues, with the reason; the files hold the last good state."""
    monkeypatch.setattr("cvunet.training.gpu.running.CHECK_EVERY_S", 0.0)
    monkeypatch.setattr(
        "cvunet.training.gpu.learning.matting_loss", lambda logits, *_: logits.mean() * torch.nan
    )
    trained = learner()
    head = trained.model.head.weight.clone()

    with pytest.raises(TrainingError, match="lower --rate"):
        run(tmp_path, trained, stop_after=9).go()
    assert torch.equal(torch.load(tmp_path / "state.pt")["model"]["head.weight"], head)


def test_large_file_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """It is written all the same."""
    outputs.write(tmp_path, "state.pt", bytes(outputs.MOST_BYTES + 1))

    assert "16 MiB" in caplog.text
    assert (tmp_path / "state.pt").exists()


@pytest.mark.parametrize(
    ("options", "lacks"),
    [
        ([], r"no-data: there is no such folder"),
        (["--anyway", "--resume", "no-run"], r"no-run/state\.pt: not there"),
        (["--anyway", "--start", "no.pth"], r"no\.pth: the run starts from this file"),
        (["--anyway", "--start", "backbone"], r"mobilenet.*: the run starts from this file"),
    ],
)
def test_says_what_is_missing(options: list[str], lacks: str):
    """Before anything is read."""
    parsed = program.parse(["--data", "no-data", "--device", "cpu", *options])

    with pytest.raises(TrainingError, match=lacks):
        program.check(parsed, gpu_kit.recipe())
