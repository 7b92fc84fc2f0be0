"""Pictures for measuring edges: their truth is true, and their halves share nothing."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import drawn, mattes
from benchmarks.mattes import Sample
from cvunet.training import samples
from cvunet.training.samples import Sources
from tests.training.training_kit import SIDE_PX, disc, encoded, write_shard, write_shards

COUNT = 6  # of foregrounds, and of backgrounds


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    """Discs and grounds of one colour each: reds from 100, greens from 100, by tens."""
    fronts, grounds = {}, {}
    for number in range(COUNT):
        level = 100 + 10 * number
        bgra = np.dstack([np.full((SIDE_PX, SIDE_PX, 3), (0, 0, level), np.uint8), disc(14)])
        ground = np.full((SIDE_PX, SIDE_PX, 3), (0, level, 0), np.uint8)
        fronts[f"tuxpaint__{number}.webp"] = encoded(bgra, ".webp")
        grounds[f"clean__{number}.webp"] = encoded(ground, ".webp")
    write_shards(tmp_path)  # the sets that are not looked at here
    write_shard(tmp_path / "foregrounds-val-00.tar", fronts)
    write_shard(tmp_path / "backgrounds-val-00.tar", grounds)
    return samples.open_sources(tmp_path, "val")


def tens(sample: Sample) -> tuple[int, int]:
    """Which foreground, and which background, by their colours."""
    front = np.median(sample.colours[sample.alpha > 0.99][:, 0])
    ground = np.median(sample.rgb[sample.alpha == 0][:, 1])
    return round(float(front) / 10), round(float(ground) / 10)


def test_halves_share_no_picture(sources: Sources):
    """What a setting is chosen on is not what its figures are reported of."""
    chosen, reported = (
        [tens(sample) for sample in mattes.laid_over(sources, [64] * 3, half=half)]
        for half in mattes.HALVES
    )

    assert {front for front, _ in chosen} | {front for front, _ in reported} == set(range(10, 16))
    assert not {ground for _, ground in chosen} & {ground for _, ground in reported}


def test_procedural_ones_can_begin_elsewhere():
    """So that they have halves as well."""
    (first,) = mattes.procedural(1, 64)
    (second,) = mattes.procedural(1, 64, begin=1)

    assert not np.array_equal(first.alpha, second.alpha)


@pytest.mark.parametrize("name", drawn.LAYERS)
def test_drawn_things_are_what_they_show(name: str):
    """The photo is the truth over the wall, but for grain and JPEG."""
    sample = drawn.sample(name, 512)
    weight = sample.alpha[..., None]
    mixed = weight * sample.colours + (1 - weight) * 255 * drawn.wall(512)

    assert float(np.abs(mixed - sample.rgb).mean()) < 6
    assert 0.01 < float((sample.alpha > 0.05).mean()) < 0.6


def test_glass_is_clear():
    """Little of it is opaque."""
    alpha = drawn.sample("glass", 512).alpha

    assert float((alpha > 0.9).mean()) < 0.01 < float(((alpha > 0.05) & (alpha < 0.5)).mean())
