"""The long recipe's stream: sizes by batch, sharp pictures, twins, empty pictures."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from cvunet.training import samples, shards, stream
from cvunet.training.recipe import Augmentation, Mixture, Phase
from cvunet.training.samples import Photo, Sources
from cvunet.training.shards import Member
from cvunet.training.stream import SampleStream
from tests.training import training_kit

HARD = Augmentation(
    crop=0.3, leaves=0.3, lowers=0.5, negatives=0.9, hide=0.5, swap=0.5, strands=0.5, sharp=True
)
SIZES = Phase(size=96, sizes=(32, 64, 96), steps=8, batch=4)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of tiny shards."""
    training_kit.write_shards(tmp_path)
    return tmp_path


def member(name: str, shard: str = "people-train-00") -> Member:
    """A member of a shard that is never opened."""
    return Member(Path(f"{shard}.tar"), name, 0, 1)


def photo(name: str, shard: str = "people-train-00") -> Photo:
    """A photo of such members."""
    return Photo(member(name, shard), member(name, shard), is_soft=False)


def test_a_batch_has_one_size_and_batches_differ(data: Path) -> None:
    """Sample n has the same size in every run, also after a resume."""
    sources = samples.open_sources(data, "train")
    chosen = training_kit.recipe(phases=(SIZES,))
    whole = SampleStream(sources, chosen, SIZES, first=0, count=32)
    later = SampleStream(sources, chosen, SIZES, first=12, count=20, phase_first=0)

    sides = [whole[n]["image"].shape[-1] for n in range(32)]

    assert all(len(set(sides[n : n + 4])) == 1 for n in range(0, 32, 4))
    assert len(set(sides)) > 1
    for n in (0, 5, 19):
        assert torch.equal(later[n]["image"], whole[12 + n]["image"])


def test_a_phase_of_one_size_has_it_always() -> None:
    """No size is drawn then."""
    phase = Phase(size=64, steps=1, batch=1)

    assert {stream.batch_size_px(training_kit.recipe(), phase, n) for n in range(9)} == {64}


def test_hard_samples_are_the_same_in_every_run(data: Path) -> None:
    """Each random function draws from the sample's own generator."""
    sources = samples.open_sources(data, "train")
    chosen = training_kit.recipe(augmentation=HARD, phases=(SIZES,))

    one, other = (SampleStream(sources, chosen, SIZES, first=0, count=32) for _ in range(2))

    for n in reversed(range(32)):
        for key in ("image", "alpha", "contrast"):
            assert torch.equal(one[n][key], other[n][key])


def test_large_twins_replace_small_ones_in_training() -> None:
    """By their number; photos without a twin stay."""
    photos = [photo(f"{name}.webp") for name in ("ccp_0001", "ccp640_0001", "ccp_0002", "hs_0001")]

    kept = [each.rgb.name for each in samples.without_twins(photos)]

    assert kept == ["ccp640_0001.webp", "ccp_0002.webp", "hs_0001.webp"]


def test_large_twins_are_soft() -> None:
    """As the small ones are."""
    members = {name: member(name) for name in ("ccp640_1.webp", "ccp640_1.png")}

    assert [each.is_soft for each in samples.pair(members)] == [True]


def test_what_may_hold_a_subject_is_never_empty() -> None:
    """Scenes and rooms are to composite on only."""
    names = ["clean__a.webp", "scene__b.webp", "room__c.webp", "crop__d.webp"]
    sources = Sources([], [], {}, [member(name) for name in names])

    assert [each.name for each in sources.empty()] == ["clean__a.webp", "crop__d.webp"]


def test_sharp_sources_are_those_of_the_sharp_shards() -> None:
    """A kind that has none keeps all."""
    sources = Sources(
        salient=[photo("n1.webp", "salient-train-00"), photo("davis_1.webp", "salient-train-02")],
        people=[photo("hs_1.webp")],
        foregrounds={
            "a": [member("a__1", "foregrounds-train-00"), member("a__2", "foregrounds-train-01")],
            "b": [member("b__1", "foregrounds-train-00")],
        },
        backgrounds=[member("clean__1", "backgrounds-train-01"), member("crop__1")],
    )

    sharp = sources.sharp()

    assert [each.rgb.name for each in sharp.salient] == ["davis_1.webp"]
    assert sharp.people == sources.people
    assert {name: [m.name for m in kept] for name, kept in sharp.foregrounds.items()} == {
        "a": ["a__2"]
    }
    assert [each.name for each in sharp.backgrounds] == ["clean__1"]


def test_each_batch_begins_with_a_sharp_picture(data: Path) -> None:
    """The others are drawn from all."""
    (data / "salient-train-00.tar").rename(data / "salient-train-02.tar")
    dull = np.full((48, 48, 3), 7, np.uint8)
    mask = training_kit.disc(9)
    members = {}
    for number in range(60):
        members[f"dull{number}.webp"] = training_kit.encoded(dull, ".webp")
        members[f"dull{number}.png"] = training_kit.encoded(mask, ".png")
    training_kit.write_shard(data / "salient-train-00.tar", members)
    chosen = training_kit.recipe(
        mixture=Mixture(1, 0, 0, 0), augmentation=Augmentation(crop=0, wear=0, sharp=True)
    )
    phase = dataclasses.replace(SIZES, sizes=())

    made = SampleStream(samples.open_sources(data, "train"), chosen, phase, first=0, count=32)

    brightest = [int(made[n]["image"].max()) for n in range(32)]
    assert min(brightest[::4]) > 100
    assert min(brightest) < 20


def test_shards_are_named_as_the_stream_expects() -> None:
    """Their stems, as `samples.is_sharp` compares them."""
    sharp = shards.Member(Path("/data/people-train-01.tar"), "ccp640_1.webp", 0, 1)

    assert samples.is_sharp(sharp)
    assert not samples.is_sharp(member("x"))
