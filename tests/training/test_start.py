"""What a recipe starts from, and the precision it trains in."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from cvunet import weights
from cvunet.errors import TrainingError
from cvunet.inference import torch_predictor
from cvunet.network.network import CVUNet, NetworkConfig
from cvunet.training import __main__ as program
from cvunet.training import backbone, precision, recipe, shards
from cvunet.training.recipe import Start
from tests.training import training_kit

#: Weights in the tree; older ones are in the history.
TRACKED = ("models/cvunet.pth",)
SMALL = {"width": 0.35, "aspp_channels": 16, "decoder_channels": (16, 8, 8, 8)}
TRUNK = NetworkConfig(**SMALL)  # type: ignore[arg-type]
REFINED = NetworkConfig(**SMALL, trunk_scale=0.625, refine_channels=8)  # type: ignore[arg-type]


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """Weights of a plain trunk, with their manifest."""
    torch.manual_seed(3)
    path = tmp_path / "old.pth"
    digest = weights.save(path, CVUNet(TRUNK), config=TRUNK, provenance={})
    weights.record(tmp_path / "manifest.yaml", path.name, digest, path.stat().st_size)
    return path


def test_a_refined_network_goes_on_from_its_trunks_weights(released: Path) -> None:
    """Whatever the refinement's own numbers, its first answer is the trunk's."""
    chosen = training_kit.recipe(
        network=REFINED, start=Start(str(released), shards.sha256(released))
    )

    model = program.start(chosen, released.parent)

    for name, tensor in weights.load(released).state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], tensor)
    assert model.refine is not None
    assert float(model.refine.head.weight.detach().abs().max()) == 0


def test_a_network_that_has_grown_takes_what_fits(released: Path) -> None:
    """By name and shape; its encoder gives the same output, its refinement is new."""
    training_kit.write_shards(released.parent)
    (released.parent / "backbone").mkdir()
    arrays = {
        "extern1/Conv2D_weights": np.full((24, 56, 1, 1), 0.5, np.float32),
        "extern1/Conv2D_bn_offset": np.zeros(24, np.float32),
    }
    np.savez(released.parent / backbone.FILE, **arrays)  # type: ignore[arg-type]  # its stub
    grown = dataclasses.replace(
        REFINED, aspp_channels=32, has_encoder_norms=True, expansion_channels=24
    )
    begin = Start(str(released), shards.sha256(released), is_partial=True)

    model = program.start(training_kit.recipe(network=grown, start=begin), released.parent)

    old = weights.load(released)
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    model.eval()
    with torch.inference_mode():
        ours, theirs = model.encoder(image), old.encoder(image)
    for one, other in zip(ours[:4], theirs[:4], strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)
    assert ours[4].shape[1] == 24
    kept = "decoder.stages.2.join.0.weight"
    assert torch.equal(model.state_dict()[kept], old.state_dict()[kept])


def test_another_file_than_the_recipes_is_refused(released: Path) -> None:
    """A recipe says exactly what it starts from."""
    with pytest.raises(TrainingError, match="the recipe starts from 0000"):
        backbone.take_over(CVUNet(TRUNK), released, sha256="0000")


@pytest.mark.parametrize(
    "changes", [{"aspp_channels": 8}, {"width": 0.5}], ids=["narrower", "wider"]
)
def test_weights_of_another_network_are_refused(released: Path, changes: dict[str, int]) -> None:
    """Its first misfit is named."""
    other = CVUNet(NetworkConfig(**(SMALL | changes)))  # type: ignore[arg-type]

    with pytest.raises(TrainingError, match="does not fit the recipe's network"):
        backbone.take_over(other, released, sha256=shards.sha256(released))


def test_weights_with_a_refinement_do_not_become_a_trunk(released: Path) -> None:
    """What the recipe's network has no place for is not thrown away silently."""
    file = released.with_name("refined.pth")
    digest = weights.save(file, CVUNet(REFINED), config=REFINED, provenance={})
    weights.record(released.with_name("manifest.yaml"), file.name, digest, file.stat().st_size)

    with pytest.raises(TrainingError, match=r"refine\.narrow"):
        backbone.take_over(CVUNet(TRUNK), file, sha256=digest)


def test_a_start_needs_no_entry_in_the_manifest(released: Path) -> None:
    """The recipe itself says which SHA-256 the file must have."""
    released.with_name("manifest.yaml").unlink()

    backbone.take_over(CVUNet(TRUNK), released, sha256=shards.sha256(released))


def test_a_missing_start_is_told(tmp_path: Path) -> None:
    """With the page that says where older weights are."""
    with pytest.raises(TrainingError, match=r"no such file; models/HISTORY\.md"):
        backbone.take_over(CVUNet(TRUNK), tmp_path / "old.pth", sha256="0000")


def test_every_recipe_says_where_its_start_is() -> None:
    """The file is in the tree, or recipe and HISTORY.md have the command that gets it."""
    root = Path(__file__).parents[2]
    history = (root / "models/HISTORY.md").read_text(encoding="utf-8")
    for path in (root / "models/recipes").glob("*.yaml"):
        begin = recipe.load(path).start
        if begin is None:
            continue
        assert begin.sha256 in history, path
        if begin.file in TRACKED:
            assert shards.sha256(root / begin.file) == begin.sha256, path
        else:
            command = re.search(rf"git show \w+:models/\w+\.pth > {begin.file}", path.read_text())
            assert command is not None, path
            assert command[0] in history, path


@pytest.mark.parametrize("chosen", [torch.float32, torch.bfloat16])
def test_training_is_mixed_only_where_that_is_faster(
    monkeypatch: pytest.MonkeyPatch, chosen: torch.dtype
) -> None:
    """A CPU that emulates bfloat16 trains in float32."""
    monkeypatch.setattr(torch_predictor, "choose_precision", lambda *_: chosen)

    with precision.autocast(torch.device("cpu")):
        product = torch.zeros(2, 2) @ torch.zeros(2, 2)

    assert product.dtype == chosen
