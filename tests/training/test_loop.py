"""Losses and the training loop, on tiny data."""

import csv
import dataclasses
from copy import deepcopy
from pathlib import Path
from typing import cast

import pytest
import torch

from cvunet import weights
from cvunet.errors import TrainingError
from cvunet.inference import torch_predictor
from cvunet.network.decoder import DecoderStage
from cvunet.network.network import CVUNet, NetworkConfig
from cvunet.training import export, layout, losses, origin
from cvunet.training.losses import Target
from cvunet.training.recipe import Phase
from tests.training import training_kit

pytestmark = pytest.mark.timeout(240)


def square(size: int = 64) -> torch.Tensor:
    """An alpha with a square subject."""
    alpha = torch.zeros(1, 1, size, size)
    alpha[..., size // 4 : -size // 4, size // 4 : -size // 4] = 1
    return alpha


def test_the_right_answer_costs_less_than_any_other() -> None:
    """Right, uncertain and inverted, in this order."""
    alpha = square()
    truth = Target(alpha, contrast=alpha, is_soft=torch.tensor([True]))
    coarse = torch.zeros(1, 1, 4, 4)

    right, unsure, wrong = (
        float(losses.matting_loss(scale * (2 * alpha - 1), coarse, truth))
        for scale in (20.0, 0.0, -20.0)
    )

    assert right < unsure < wrong


def test_boundaries_weigh_more_than_plain_areas() -> None:
    """Within 1 and 6, as the paper's equation has it."""
    weight = losses.boundary_weight(square())

    assert float(weight[0, 0, 0, 0]) == 1
    assert 3 < float(weight.max()) <= 6
    assert float(weight[0, 0, 16, 32]) > float(weight[0, 0, 32, 32])


def test_an_empty_answer_to_an_empty_picture_costs_nothing() -> None:
    """No subject, none found."""
    empty = torch.zeros(1, 1, 64, 64)

    loss = losses.structure_loss(torch.full_like(empty, -30.0), empty)

    assert float(loss) == pytest.approx(0, abs=1e-6)


def test_the_pyramid_sees_blur() -> None:
    """A soft answer to a sharp edge is wrong in the fine levels."""
    alpha = square()
    blurred = torch.nn.functional.avg_pool2d(alpha, 5, stride=1, padding=2)

    assert float(losses.laplacian_loss(alpha, alpha)) == 0
    assert float(losses.laplacian_loss(blurred, alpha)) > 0


@pytest.mark.slow
def test_a_run_leaves_checkpoint_log_and_sheet(tmp_path: Path) -> None:
    """What somebody looks at while it trains."""
    training_kit.trainer(tmp_path, training_kit.recipe(steps=2)).run()

    with (tmp_path / "run/log.csv").open() as stream:
        [row] = csv.DictReader(stream)
    assert (row["step"], row["size"]) == ("2", "64")
    assert float(row["salient_mae"]) > 0
    assert float(row["pictures_per_s"]) > 0
    assert 0 < float(row["busy"]) < 1
    assert (tmp_path / "run/sheet-000002.png").stat().st_size > 0


@pytest.mark.slow
def test_a_resumed_run_ends_like_one_that_was_not_stopped(tmp_path: Path) -> None:
    """The same samples in the same order, with the same optimiser's memory."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "halves").mkdir()
    phase = Phase(size=64, steps=2, batch=2, rate_start=1e-3, rate_end=1e-3)
    long = Phase(size=64, steps=4, batch=2, rate_start=1e-3, rate_end=1e-3)
    whole = training_kit.trainer(tmp_path / "whole", training_kit.recipe(phases=(long,)))
    whole.run()
    training_kit.trainer(tmp_path / "halves", training_kit.recipe(phases=(phase,))).run()

    resumed = training_kit.trainer(tmp_path / "halves", training_kit.recipe(phases=(long,)))
    resumed.run()

    assert resumed.step == 4
    for ours, theirs in zip(resumed.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.slow
def test_a_trunk_learns_alone_in_its_phases(tmp_path: Path) -> None:
    """The refinement stays as it was, and only the last phase moves it."""
    network = NetworkConfig(
        decoder_channels=(16, 16, 8, 8), aspp_channels=16, trunk_scale=0.5, refine_channels=8
    )
    alone = Phase(64, 2, batch=2, rate_start=1e-3, rate_end=1e-3, is_trunk_only=True)
    joined = Phase(128, 2, batch=2, rate_start=1e-3, rate_end=1e-3)

    first = training_kit.trainer(tmp_path, training_kit.recipe(network=network, phases=(alone,)))
    before = deepcopy(first.model)
    first.run()

    assert first.model.refine is not None
    assert before.refine is not None
    assert torch.equal(first.model.refine.head.weight, before.refine.head.weight)
    assert not torch.equal(first.model.head.weight, before.head.weight)
    both = training_kit.trainer(
        tmp_path, training_kit.recipe(network=network, phases=(alone, joined))
    )
    both.run()
    assert both.model.refine is not None
    assert not torch.equal(both.model.refine.head.weight, before.refine.head.weight)


def test_a_run_knows_what_it_was_made_from(tmp_path: Path) -> None:
    """The checkpoint holds recipe, code, data and figures."""
    made = training_kit.trainer(tmp_path, training_kit.recipe())
    made.run()

    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    row = state["figures"]

    assert state["recipe"]["name"] == "tiny"
    assert len(state["origin"]["data"]) == 4
    assert (row["step"], row["size"]) == ("2", "64")


def test_code_in_no_checkout_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor where there is no git."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    assert origin.commit(tmp_path) == ""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert origin.commit(tmp_path) == ""


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    """The differing keys are named."""
    training_kit.trainer(tmp_path, training_kit.recipe()).run()

    with pytest.raises(TrainingError, match="seed"):
        training_kit.trainer(tmp_path, training_kit.recipe(seed=8))


def test_a_loss_that_is_no_number_stops_training(tmp_path: Path) -> None:
    """With the step and the last good checkpoint."""
    broken = training_kit.trainer(tmp_path, training_kit.recipe())
    with torch.no_grad():
        next(broken.model.parameters()).fill_(float("nan"))

    with pytest.raises(TrainingError, match=r"step 0.*checkpoint\.pt"):
        broken.run()


def test_an_exported_run_can_be_used(tmp_path: Path) -> None:
    """Checkpoint to weights file to predictor, with provenance and an entry in the manifest."""
    training_kit.trainer(tmp_path, training_kit.recipe()).run()
    file = tmp_path / "own.pth"

    digest = export.export(tmp_path / "run", file)
    predictor = torch_predictor.open_predictor(
        file, device="cpu", precision="float32", input_size=64
    )

    content = torch.load(file, weights_only=True)
    assert digest in (tmp_path / "manifest.yaml").read_text()
    assert content["provenance"]["recipe"]["seed"] == 7
    assert sorted(content["provenance"]["data"])[0] == "backgrounds-train-00.tar"
    assert content["provenance"]["figures"]["step"] == "2"
    assert predictor.input_size == 64
    assert weights.load(file).training is False


def test_an_export_may_lie_between_start_and_end(tmp_path: Path) -> None:
    """The mean of each number, run at another scale; what it was taken with is on record."""
    network = dataclasses.replace(training_kit.recipe().network, refine_channels=4)
    made = training_kit.trainer(tmp_path, training_kit.recipe(network=network))
    made.run()
    start, end, middle = (tmp_path / f"{name}.pth" for name in ("start", "end", "middle"))
    config = made.recipe.network
    with torch.no_grad():
        made.model.state_dict()["head.bias"].fill_(2.0)
    digest = weights.save(start, made.model, config=config, provenance={})
    weights.record(tmp_path / "manifest.yaml", start.name, digest, start.stat().st_size)
    export.export(tmp_path / "run", end)

    export.export(tmp_path / "run", middle, mean_with=start, trunk_scale=0.5)

    biases = [weights.load(file).state_dict()["head.bias"] for file in (start, end, middle)]
    content = torch.load(middle, weights_only=True)
    assert torch.allclose(biases[2], (biases[0] + biases[1]) / 2, atol=1e-3)
    assert not torch.allclose(biases[0], biases[1], atol=1e-1)
    assert (content["config"]["trunk_scale"], content["provenance"]["mean_with"]) == (0.5, digest)


def test_a_refinement_that_changes_nothing_may_be_left_out(tmp_path: Path) -> None:
    """It had no step to learn in; a pass takes less without it."""
    network = dataclasses.replace(training_kit.recipe().network, trunk_scale=0.5, refine_channels=4)
    training_kit.trainer(tmp_path, training_kit.recipe(network=network)).run()
    whole, trunk = (tmp_path / f"{name}.pth" for name in ("whole", "trunk"))
    export.export(tmp_path / "run", whole)
    export.export(tmp_path / "run", trunk, is_refined=False)
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    models = [weights.load(file) for file in (whole, trunk)]
    with torch.no_grad():
        models[0].refine.head.weight.zero_()  # type: ignore[union-attr]
        models[0].refine.head.bias.zero_()  # type: ignore[union-attr]
    answers = [model(image) for model in models]

    assert models[1].refine is None
    torch.testing.assert_close(answers[1], answers[0])


def test_the_run_may_have_any_share_in_the_mean(tmp_path: Path) -> None:
    """A quarter of the way from the start, and that is on record."""
    made = training_kit.trainer(tmp_path, training_kit.recipe())
    made.run()
    start, end, near = (tmp_path / f"{name}.pth" for name in ("start", "end", "near"))
    with torch.no_grad():
        made.model.state_dict()["head.bias"].fill_(2.0)
    digest = weights.save(start, made.model, config=made.recipe.network, provenance={})
    weights.record(tmp_path / "manifest.yaml", start.name, digest, start.stat().st_size)
    export.export(tmp_path / "run", end)

    export.export(tmp_path / "run", near, mean_with=start, share=0.25)

    first, last, found = (
        weights.load(file).state_dict()["head.bias"] for file in (start, end, near)
    )
    assert torch.allclose(found, 0.75 * first + 0.25 * last, atol=1e-3)
    assert torch.load(near, weights_only=True)["provenance"]["share"] == 0.25


def test_the_mean_is_of_one_kind_of_network(tmp_path: Path) -> None:
    """Another width is refused, with a line that says so."""
    made = training_kit.trainer(tmp_path, training_kit.recipe())
    made.run()
    other = dataclasses.replace(made.recipe.network, aspp_channels=24)
    file = tmp_path / "other.pth"
    digest = weights.save(file, CVUNet(other), config=other, provenance={})
    weights.record(tmp_path / "manifest.yaml", file.name, digest, file.stat().st_size)

    with pytest.raises(TrainingError, match="of another network"):
        export.export(tmp_path / "run", tmp_path / "own.pth", mean_with=file)


def test_the_layout_of_a_training_changes_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planes for some convolutions are an arrangement of memory, nothing else."""
    monkeypatch.setattr(torch_predictor, "choose_precision", lambda *_: torch.float32)
    torch.manual_seed(0)
    plain = CVUNet(NetworkConfig(width=0.35, aspp_channels=16, decoder_channels=(16, 16, 16, 16)))
    arranged = layout.arrange(deepcopy(plain), torch.device("cpu"))
    image = torch.rand(2, 3, 64, 64) * 2 - 1

    for model in (plain, arranged):
        model(image.contiguous(memory_format=torch.channels_last)).square().mean().backward()

    gradients = zip(plain.named_parameters(), arranged.parameters(), strict=True)
    for (name, one), other in gradients:
        if one.grad is None:  # the auxiliary head has no part in this
            assert other.grad is None
            continue
        assert other.grad is not None
        assert torch.allclose(one.grad, other.grad, atol=1e-5, rtol=1e-3), name
    stages = [cast(DecoderStage, stage) for stage in arranged.decoder.stages]
    assert [len(stage.join[0]._forward_pre_hooks) for stage in stages] == [0, 0, 1, 1]
