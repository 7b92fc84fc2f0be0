"""A run that goes on from its averaged weights."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from cvunet import weights
from cvunet.errors import TrainingError, WeightsError
from cvunet.network.network import NetworkConfig
from cvunet.training import __main__ as command
from cvunet.training import recipe as recipes
from cvunet.training import restart, schedule
from cvunet.training.loop import Trainer, never
from cvunet.training.recipe import Phase, Recipe
from tests.training import training_kit

pytestmark = pytest.mark.timeout(240)


def phase(steps: int) -> Phase:
    """Small."""
    return Phase(size=64, steps=steps, batch=2, rate_start=1e-3, rate_end=1e-3)


def recipe(*steps: int, **changes: Any) -> Recipe:
    """With phases of so many steps; a warm-up of four."""
    phases = tuple(phase(count) for count in steps)
    return training_kit.recipe(phases=phases, warmup_steps=4, **changes)


@pytest.fixture
def average(tmp_path: Path) -> Path:
    """Left of two steps of four, in another folder; the run's is gone."""
    made = training_kit.trainer(tmp_path, recipe(2))
    made.seconds = 100.0
    made.run()
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in ("average.pth", "manifest.yaml"):
        shutil.copy(tmp_path / "run" / name, kept)
    shutil.rmtree(tmp_path / "run")
    return kept / "average.pth"


def begin(average: Path, base: Path, chosen: Recipe) -> Trainer:
    """A trainer that goes on from the weights."""
    trainer = training_kit.trainer(base, chosen)
    restart.from_average(trainer, average)
    return trainer


def test_it_goes_on_at_the_step(average: Path, tmp_path: Path) -> None:
    """Network and average are those of the file; the rate is warmed up again."""
    resumed = begin(average, tmp_path, recipe(2, 2))
    saved = weights.load(average).state_dict()

    assert resumed.step == 2
    assert resumed.seconds >= 100
    for state in (resumed.model.state_dict(), resumed.average.model.state_dict()):
        assert all(torch.equal(state[name], tensor) for name, tensor in saved.items())
    resumed.run()
    assert resumed.step == 4
    row = (tmp_path / "run/progress.csv").read_text().splitlines()[-1].split(",")
    assert row[:3] == ["4", "8", "5.000e-04"]  # the second of four steps of the warm-up


def test_stop_in_the_second_warm_up(average: Path, tmp_path: Path) -> None:
    """The warm-up's beginning is in the checkpoint."""
    begin(average, tmp_path, recipe(2, 1)).run()

    resumed = training_kit.trainer(tmp_path, recipe(2, 1, 3))

    assert (resumed.step, resumed.warmed_from) == (3, 2)
    rate = schedule.rate_at(
        resumed.recipe, phase(3), step=3, position=0, warmed_from=resumed.warmed_from
    )
    assert rate == pytest.approx(5e-4)


def test_checkpoint_goes_first(
    average: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It knows more, and is newer or as new."""
    training_kit.trainer(tmp_path, recipe(3)).run()
    before = (tmp_path / "run/checkpoint.pt").read_bytes()

    begin(average, tmp_path, recipe(2, 2))

    assert (tmp_path / "run/checkpoint.pt").read_bytes() == before
    assert "is there and is used" in caplog.text


@pytest.mark.parametrize(
    ("chosen", "reason"),
    [
        (recipe(2, 2, name="other"), "its recipe is tiny, not other"),
        (recipe(2), "has ended at step 2"),
        (
            recipe(2, 2, network=NetworkConfig(decoder_channels=(16, 16, 8, 8), aspp_channels=24)),
            "another network",
        ),
    ],
)
def test_weights_of_another_run(average: Path, tmp_path: Path, chosen: Recipe, reason: str) -> None:
    """Refused, and nothing is written."""
    with pytest.raises(TrainingError, match=reason):
        begin(average, tmp_path, chosen)
    assert not (tmp_path / "run").exists()


def test_weights_without_a_step(average: Path, tmp_path: Path) -> None:
    """Of an export, or by another program."""
    config = recipe(2).network
    model = weights.load(average)
    weights.save(average, model, config=config, provenance={"recipe": "tiny"})
    with pytest.raises(WeightsError, match="SHA-256"):
        begin(average, tmp_path, recipe(2, 2))
    weights.record_file(average)
    with pytest.raises(TrainingError, match="give the average"):
        begin(average, tmp_path, recipe(2, 2))


def test_command(average: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The start that the recipe names is not needed."""
    chosen = dataclasses.replace(
        recipe(2, 1), start=recipes.Start(file="gone.pth", sha256="0" * 64)
    )
    monkeypatch.setattr(recipes, "load", lambda path: chosen)
    monkeypatch.setattr(command, "asked_to_stop", lambda: never)
    options = command.parse(
        [
            *("--data", f"{tmp_path}/data", "--out", f"{tmp_path}/run", "--loaders", "0"),
            *("--device", "cpu", "--resume-average", str(average)),
        ]
    )

    command.train(options)

    assert (tmp_path / "run/progress.csv").read_text().splitlines()[-1].startswith("3,6,")
