"""Checkpoints: written by the clock, and resumed after a stop."""

import csv
from functools import partial
from pathlib import Path

import pytest
import torch

from cvunet import weights
from cvunet.network.network import NetworkConfig
from cvunet.training.loop import Stopped, Trainer
from cvunet.training.recipe import Cosine, Phase
from tests.training import training_kit

pytestmark = pytest.mark.timeout(240)

GROWN = NetworkConfig(
    width=0.35,
    aspp_channels=32,
    decoder_channels=(16, 16, 8, 8),
    trunk_scale=0.5,
    refine_channels=8,
    has_encoder_norms=True,
    expansion_channels=48,
    attention_blocks=1,
    is_guided=True,
)


def has_reached(run: Trainer, limit: int) -> bool:
    """True if the run has done ``limit`` steps."""
    return run.step >= limit


@pytest.mark.slow
@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_a_stopped_run_ends_like_one_that_was_not(tmp_path: Path, optimiser: str) -> None:
    """Stopped in both phases, it ends with the same weights, average and optimiser state."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    recipe = training_kit.recipe(
        network=GROWN,
        phases=(
            Phase(size=96, sizes=(64, 96), steps=4, batch=2, is_trunk_only=True),
            Phase(size=128, steps=3, batch=2),
        ),
        cosine=Cosine(1e-3, 1e-5),
        optimiser=optimiser,
        validate_every=100,
    )
    whole = training_kit.trainer(tmp_path / "whole", recipe)
    whole.run()

    for limit in (3, 5):
        part = training_kit.trainer(tmp_path / "parts", recipe)
        with pytest.raises(Stopped):
            part.run(is_stopped=partial(has_reached, part, limit))
    last = training_kit.trainer(tmp_path / "parts", recipe)
    last.run()

    assert (last.step, recipe.samples_at(last.step)) == (7, 14)
    one, other = (
        torch.load(tmp_path / name / "run/checkpoint.pt", weights_only=True)
        for name in ("whole", "parts")
    )
    for kind in ("model", "average"):
        for name, tensor in one[kind].items():
            assert torch.equal(tensor, other[kind][name]), (kind, name)
    assert one["optimiser"]["param_groups"] == other["optimiser"]["param_groups"]
    for number, memory in one["optimiser"]["state"].items():
        for name, value in memory.items():
            assert torch.equal(
                torch.as_tensor(value),
                torch.as_tensor(other["optimiser"]["state"][number][name]),
            )


@pytest.mark.slow
def test_a_checkpoint_is_written_every_few_minutes(tmp_path: Path) -> None:
    """With a line of progress and the averaged weights in half precision, ready to be used."""
    made = training_kit.trainer(tmp_path, training_kit.recipe(steps=3, validate_every=100))

    made.run(checkpoint_every_s=0.0)

    with (tmp_path / "run/progress.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["step"] for row in rows] == ["1", "2", "3"]
    assert [row["samples"] for row in rows] == ["2", "4", "6"]
    assert float(rows[0]["gradient_norm"]) > 0
    assert weights.load(tmp_path / "run/average.pth").training is False


@pytest.mark.slow
def test_a_checkpoint_holds_only_tensors_and_plain_values(tmp_path: Path) -> None:
    """No class of ours is in it, so modules can move; newer keys of a recipe may be missing."""
    recipe = training_kit.recipe()
    training_kit.trainer(tmp_path, recipe).run()
    file = tmp_path / "run/checkpoint.pt"
    assert b"cvunet" not in file.read_bytes().replace(b"cvunet.pth", b"")
    state = torch.load(file, weights_only=True)
    del state["recipe"]["clip"], state["recipe"]["augmentation"]["hide"]
    torch.save(state, file)

    assert training_kit.trainer(tmp_path, recipe).step == 2
