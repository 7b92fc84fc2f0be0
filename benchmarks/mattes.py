"""Pictures whose matte and foreground are known, for measuring edges and colours."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cvunet.training import composites, shards, strands
from cvunet.training.samples import Sources

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

#: No picture that a setting is chosen on is one that its figures are reported of.
Half = Literal["choose", "report"]
HALVES: tuple[Half, ...] = get_args(Half)

SEED = 5
GRAIN = 4.0  # levels of noise, as of a camera in a room
QUALITY = 88  # JPEG
BARS = 40


@dataclass(frozen=True, slots=True)
class Sample:
    """``rgb`` HxWx3 as a camera would give it; ``alpha`` and ``colours`` are the truth."""

    rgb: Pixels
    alpha: Floats
    colours: Pixels


def shot(rng: Generator, layer: Floats, ground: Floats) -> Sample:
    """A premultiplied layer SxSx4 over a background SxSx3, with grain, through JPEG."""
    alpha = np.ascontiguousarray(layer[..., 3])
    mixed = layer[..., :3] + (1 - layer[..., 3:]) * ground
    noise = rng.standard_normal(mixed.shape, dtype=np.float32) * np.float32(GRAIN / 255)
    _, data = cv2.imencode(
        ".jpg",
        composites.to_bytes((mixed + noise).astype(np.float32)),
        [cv2.IMWRITE_JPEG_QUALITY, QUALITY],
    )
    rgb = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert rgb is not None
    straight = layer[..., :3] / np.maximum(layer[..., 3:], np.float32(1 / 512))
    return Sample(rgb.astype(np.uint8), alpha, composites.to_bytes(straight.astype(np.float32)))


def laid_over(sources: Sources, sides: list[int], *, half: Half) -> Iterator[Sample]:
    """Foregrounds of a half of the shards over backgrounds of that half, every second with hair."""
    members = [member for _, ones in sorted(sources.foregrounds.items()) for member in ones]
    order = np.random.default_rng(SEED).permutation(len(members))[HALVES.index(half) :: 2]
    backgrounds = sources.backgrounds[HALVES.index(half) :: 2]
    for number, side in enumerate(sides):
        rng = np.random.default_rng([SEED, number])
        background = backgrounds[rng.integers(len(backgrounds))]
        ground = composites.backdrop(rng, shards.decode_rgb(background), side)
        layer = composites.place(rng, shards.decode_rgba(members[order[number]]), side)
        if number % 2:
            layer = strands.grow(rng, layer)
        yield shot(rng, layer, (ground / np.float32(255)).astype(np.float32))


def procedural(count: int, side: int, *, begin: int = 0) -> Iterator[Sample]:
    """Discs with hair and thin bars before blurred noise: no shards are needed."""
    for number in range(begin, begin + count):
        rng = np.random.default_rng([SEED, number, side])
        alpha = np.zeros((side, side), np.uint8)
        cv2.circle(alpha, (side // 2, side // 2), side // 4, 255, -1, cv2.LINE_AA)
        for _ in range(BARS):
            ends = rng.uniform(0.1, 0.9, (2, 2)) * side * 16
            first, second = ([int(place) for place in end] for end in ends)
            width = int(rng.integers(1, 9))
            cv2.line(alpha, first, second, 255, width, cv2.LINE_AA, 4)
        soft = cv2.GaussianBlur(alpha.astype(np.float32) / np.float32(255), (0, 0), 0.7)
        layer = np.dstack([texture(rng, side) * soft[..., None], soft]).astype(np.float32)
        yield shot(rng, strands.grow(rng, layer), texture(rng, side))


def texture(rng: Generator, side: int) -> Floats:
    """Noise of several sizes round one colour, SxSx3 in [0, 1]."""
    total = np.zeros((side, side, 3), np.float32) + rng.uniform(0.2, 0.8, 3).astype(np.float32)
    for cells in (4, 16, 64):
        noise = rng.normal(0, 0.08, (cells, cells, 3)).astype(np.float32)
        total += cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
    return total.clip(0, 1)
