"""Training data: shards, composites and the stream of samples."""

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from cvunet.errors import DocumentError, TrainingError
from cvunet.training import augment, composites, recipe, samples, shards
from cvunet.training.augment import FloatPixels
from cvunet.training.recipe import Augmentation, Mixture
from cvunet.training.stream import SampleStream
from tests.training import training_kit


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of tiny shards."""
    training_kit.write_shards(tmp_path)
    return tmp_path


def stream(data: Path, **changes: Any) -> SampleStream:
    """Samples of a tiny recipe."""
    sources = samples.open_sources(data, "train")
    chosen = training_kit.recipe(**changes)
    return SampleStream(sources, chosen, chosen.phases[0], first=0, count=40)


def test_the_shipped_recipes_load() -> None:
    """Every recipe in the repository is of this version."""
    folder = Path(__file__).parents[2] / "models" / "recipes"

    names = [recipe.load(path).name for path in sorted(folder.glob("*.yaml"))]

    assert names == [path.stem for path in sorted(folder.glob("*.yaml"))]


def test_a_recipe_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    """The key is named."""
    text = (Path(__file__).parents[2] / "models/recipes/first.yaml").read_text()
    path = tmp_path / "wrong.yaml"
    path.write_text(text + "\nlerning_rate: 1\n")

    with pytest.raises(DocumentError, match="lerning_rate"):
        recipe.load(path)


def test_a_missing_set_is_told(tmp_path: Path) -> None:
    """With what to do."""
    with pytest.raises(TrainingError, match="DATA="):
        samples.open_sources(tmp_path, "train")


def test_a_shard_cut_short_is_told_by_name(data: Path) -> None:
    """Its index cannot be read to the end."""
    shard = data / "salient-train-00.tar"
    shard.write_bytes(shard.read_bytes()[:700])

    with pytest.raises(TrainingError, match=r"salient-train-00\.tar"):
        samples.open_sources(data, "train")


def test_the_same_number_gives_the_same_sample(data: Path) -> None:
    """In another stream of the same recipe, too: that is what resuming relies on."""
    one, other = stream(data)[5], stream(data)[5]

    assert torch.equal(one["image"], other["image"])
    assert torch.equal(one["alpha"], other["alpha"])


def test_samples_have_the_size_asked_for(data: Path) -> None:
    """Whatever kind they are."""
    shapes = {tuple(sample["image"].shape) for sample in map(stream(data).__getitem__, range(20))}

    assert shapes == {(3, 64, 64)}


def test_an_empty_picture_has_no_alpha(data: Path) -> None:
    """Only a background: there is no subject."""
    mixture = Mixture(salient=0, people=0, composite=0, empty=1)

    sample = stream(data, mixture=mixture)[0]

    assert int(sample["alpha"].max()) == 0


def test_refined_mattes_count_as_soft_and_hard_masks_do_not(data: Path) -> None:
    """The losses treat them differently."""
    people = stream(data, mixture=Mixture(salient=0, people=1, composite=0, empty=0))[0]
    salient = stream(data, mixture=Mixture(salient=1, people=0, composite=0, empty=0))[0]

    assert (bool(people["is_soft"]), bool(salient["is_soft"])) == (True, False)


def test_only_photos_with_hard_masks_change_their_background(data: Path) -> None:
    """Their alpha is true then; the rim of a soft matte shows the old background."""
    changes = Augmentation(swap=1.0)
    people = stream(data, augmentation=changes, mixture=Mixture(0, 1, 0, 0))[0]
    salient = stream(data, augmentation=changes, mixture=Mixture(1, 0, 0, 0))[0]

    assert int(people["contrast"].max()) == 0
    assert int(salient["contrast"].max()) > 0
    assert bool(salient["is_soft"])


def broken(data: Path, count: int) -> None:
    """Break the first photos of the salient set."""
    members = {}
    for name, member in shards.index([data / "salient-train-00.tar"]).items():
        with member.shard.open("rb") as file:
            file.seek(member.offset)
            members[name] = file.read(member.size)
    for name in sorted(n for n in members if n.endswith(".webp"))[:count]:
        members[name] = b"broken"
    training_kit.write_shard(data / "salient-train-00.tar", members)


def test_a_bad_member_is_counted_named_and_replaced(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One of many does not stop training."""
    broken(data, 1)
    salient = stream(data, mixture=Mixture(salient=1, people=0, composite=0, empty=0))

    for index in range(40):
        assert salient[index]["image"].shape == (3, 64, 64)

    assert salient.bad > 0
    assert "n0.webp cannot be decoded" in caplog.text


def test_too_many_bad_members_stop_training(data: Path) -> None:
    """Over one in a hundred is no accident."""
    broken(data, 8)
    salient = stream(data, mixture=Mixture(salient=1, people=0, composite=0, empty=0))

    with pytest.raises(TrainingError, match="cannot be used"):
        for index in range(40):
            salient[index]


def test_a_mask_of_another_size_is_bad(data: Path) -> None:
    """Photo and mask must fit."""
    rng = np.random.default_rng(0)
    photo = training_kit.encoded(training_kit.photo(training_kit.disc(5), rng), ".webp")
    mask = training_kit.encoded(np.zeros((9, 9), np.uint8), ".png")
    training_kit.write_shard(data / "salient-train-00.tar", {"a.webp": photo, "a.png": mask})
    [pair] = samples.pair(shards.index([data / "salient-train-00.tar"]))

    with pytest.raises(shards.BadMember, match="differs in size"):
        samples.load_photo(pair)


def test_a_composite_blends_by_its_alpha() -> None:
    """Where alpha is 1 the foreground shows, where it is 0 the background."""
    rng = np.random.default_rng(3)
    foreground = np.full((40, 40, 4), (255, 0, 0, 255), np.uint8)
    background = np.full((64, 64, 3), (0, 0, 255), np.uint8)

    made = composites.compose(rng, [foreground], background)

    assert made.rgb[made.alpha == 255][:, 2].max() < 10
    assert made.rgb[made.alpha == 0][:, 0].max() < 10


def test_contrast_is_the_colours_distance_where_there_is_a_foreground() -> None:
    """Red on blue differs in two of three channels; without a foreground nothing is known."""
    rng = np.random.default_rng(3)
    foreground = np.full((40, 40, 4), (255, 0, 0, 255), np.uint8)
    background = np.full((64, 64, 3), (0, 0, 255), np.uint8)

    made = composites.compose(rng, [foreground], background)

    assert made.contrast[made.alpha == 0].max() == 0
    inside = made.contrast[made.alpha == 255]
    assert len(inside) > 100
    assert abs(float(inside.mean()) - 170) < 25


def test_a_subject_is_laid_over_another_background_where_it_stands() -> None:
    """A rim of its hard mask is cut off: not a pixel of the old background comes along."""
    mask = training_kit.disc(15)
    photo = np.where(mask[..., None] > 0, (255, 0, 0), (0, 255, 0)).astype(np.uint8)
    background = np.full((*mask.shape, 3), (0, 0, 255), np.uint8)

    made = composites.change_ground(np.random.default_rng(3), photo, mask, background)

    assert made.alpha[mask == 0].max() == 0
    assert made.alpha[24, 24] == 255
    assert 0.6 < made.alpha.sum() / mask.sum() < 0.9
    assert made.rgb[..., 1].max() == 0
    share = made.alpha / 255
    assert np.abs(made.rgb[..., 2] - 255 * (1 - share)).max() <= 2


def test_an_empty_mask_leaves_the_other_background_alone() -> None:
    """Alpha is 0 then, and nothing is divided by it."""
    empty = np.zeros((48, 48), np.uint8)
    photo, background = np.full((48, 48, 3), 9, np.uint8), np.full((48, 48, 3), 200, np.uint8)

    made = composites.change_ground(np.random.default_rng(3), photo, empty, background)

    assert (int(made.alpha.max()), int(made.contrast.max())) == (0, 0)
    assert np.array_equal(made.rgb, background)


def noise(size: int) -> FloatPixels:
    """As sharp as can be."""
    return np.random.default_rng(0).random((size, size, 3)).astype(np.float32)


def test_a_foreground_is_made_no_sharper_than_its_background() -> None:
    """Before a blurred one it is blurred, colours and alpha alike; before a sharp one it stays."""
    layer = np.zeros((64, 64, 4), np.float32)
    layer[16:48, 16:48, :3], layer[16:48, 16:48, 3] = noise(32), 1
    blurred = cv2.GaussianBlur(noise(64), (0, 0), 3).astype(np.float32)
    rng = np.random.default_rng(0)

    soft = composites.match_blur(rng, layer, blurred)
    same = composites.match_blur(rng, layer, noise(64))

    assert composites.detail(soft[..., :3]) < composites.detail(layer[..., :3])
    assert 0 < float(soft[32, 48, 3]) < 1
    assert same is layer


def test_low_light_is_dark_and_noisy() -> None:
    """Half of the exposure at most; a plain grey is plain no more."""
    grey = np.full((64, 64, 3), 200, np.uint8)

    dark = augment.dusk(np.random.default_rng(0), grey)

    assert float(dark.mean()) < 101
    assert float(dark.std()) > 1


def test_a_crop_keeps_most_of_the_subject() -> None:
    """Otherwise it is not the subject of the crop."""
    rng = np.random.default_rng(0)
    alpha = training_kit.disc(10)

    shares = [alpha[augment.draw_crop(rng, alpha)].sum() / alpha.sum() for _ in range(50)]

    assert min(shares) >= augment.KEEP_SUBJECT


def test_shrinking_averages() -> None:
    """One-pixel stripes become grey, not stripes."""
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 254

    small = augment.resize(stripes, width=16, height=16)

    assert (int(small.min()), int(small.max())) == (127, 127)
    assert cv2.resize(stripes, (16, 16), interpolation=cv2.INTER_NEAREST).max() != 127


def test_a_phase_may_have_a_mixture_of_its_own(data: Path, tmp_path: Path) -> None:
    """It replaces the recipe's; a wrong key in it is told."""
    sources = samples.open_sources(data, "train")
    chosen = training_kit.recipe(mixture=Mixture(salient=1, people=0, composite=0, empty=0))
    only_empty = dataclasses.replace(chosen.phases[0], mixture=Mixture(0, 0, 0, 1))

    made = SampleStream(sources, chosen, only_empty, first=0, count=10)

    assert all(int(made[n]["alpha"].max()) == 0 for n in range(10))
    shipped = Path(__file__).parents[2] / "models/recipes/second.yaml"
    last = recipe.load(shipped).phases[-1].mixture
    assert last is not None
    assert last.people == 0.38
    own = tmp_path / "own.yaml"
    own.write_text(shipped.read_text().replace("people: 0.38", "poeple: 0.38"))
    with pytest.raises(DocumentError, match="poeple"):
        recipe.load(own)


def test_a_source_of_people_may_be_drawn_more_often(data: Path) -> None:
    """By its weight, for each of its photos."""
    (photo, *_) = samples.open_sources(data, "train").people
    names = ["hs_1.webp", "ccp_1.webp", "hs_2.webp"]
    photos = [
        dataclasses.replace(photo, rgb=dataclasses.replace(photo.rgb, name=name)) for name in names
    ]

    assert samples.shares_of(photos, {"hs": 3.0}) == pytest.approx([3 / 7, 1 / 7, 3 / 7])


def test_a_weight_for_a_source_that_is_not_there_is_refused(data: Path) -> None:
    """A slip of the pen must not train something else."""
    with pytest.raises(TrainingError, match="nobody"):
        stream(data, people_weights={"nobody": 2.0})
