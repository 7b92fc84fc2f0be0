"""Clips whose matte and colours are known in each frame: a layer that moves before a background.

Fast and slow motion, some with a cut; noise and JPEG as of a camera. Layers and backgrounds are
drawn here, or taken from shards of the training data that no network was trained on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks import drawn, mattes, photos
from cvunet.pictures import reading
from cvunet.training import shards, strands
from cvunet.training.samples import Sources, load_photo, open_sources

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

SEED = 24
SIZE = (960, 540)
GRAIN = 1.5  # levels of noise
SIDE_PX = 640
#: Pixels of a frame's motion, at most: about 5 and 1.
SPEEDS = {"fast": 5.0, "slow": 1.0}


@dataclass(frozen=True, slots=True)
class Moving:
    """``frames`` NxHxWx3; ``layers`` NxHxWx4 are the truth, premultiplied, in [0, 1]."""

    name: str
    frames: list[Pixels]
    layers: list[Floats]


def clips(count: int, *, frames: int, data: Path | None) -> Iterator[Moving]:
    """``count`` clips: fast and slow in turn, every fourth and fifth with a cut."""
    sources = None if data is None else open_sources(data, "val")
    for number in range(count):
        rng = np.random.default_rng([SEED, number])
        speed = ("fast", "slow")[number % 2]
        has_cut = number % 6 in (4, 5)
        parts = [frames // 2, frames - frames // 2] if has_cut else [frames]
        shown: list[Pixels] = []
        layers: list[Floats] = []
        for part in parts:
            layer, ground = drawing(rng) if sources is None else shard(rng, sources)
            for placed, behind in motion(rng, layer, ground, part, SPEEDS[speed]):
                shown.append(shot(rng, placed, behind))
                layers.append(placed)
        yield Moving(f"{speed}{', cut' if has_cut else ''}", shown, layers)


def drawing(rng: Generator) -> tuple[Floats, Floats]:
    """A figure or a head of hair, premultiplied HxWx4, and one of the public-domain photos."""
    layer = drawn.hair(SIDE_PX) if rng.random() < 0.4 else figure(rng)
    if not photos.has_photos():
        return layer, mattes.texture(rng, 1024)
    with photos.path_of(str(rng.choice(["coffee.png", "rocket.jpg", "brick.png"]))).open(
        "rb"
    ) as one:
        rgb = reading.read(one, max_pixels=10_000_000, depth=8).rgb
    return layer, (rgb / np.float32(255)).astype(np.float32)


def figure(rng: Generator) -> Floats:
    """A body with a head and strands of hair, premultiplied HxWx4."""
    alpha = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    wide = int(rng.integers(90, 150))
    cv2.ellipse(alpha, (320, 200), (85, 110), 0, 0, 360, 255, -1, cv2.LINE_AA)
    cv2.ellipse(alpha, (320, 560), (wide + 90, 260), 0, 0, 360, 255, -1, cv2.LINE_AA)
    soft = cv2.GaussianBlur(alpha.astype(np.float32) / 255, (0, 0), rng.uniform(0.7, 2.0))
    colours = mattes.texture(rng, SIDE_PX)
    layer = np.dstack([colours * soft[..., None], soft]).astype(np.float32)
    return strands.grow(rng, layer)


def shard(rng: Generator, sources: Sources) -> tuple[Floats, Floats]:
    """A foreground or a person, and a background, of the shards for validation."""
    people = [photo for photo in sources.people if photo.is_soft]
    if people and rng.random() < 0.5:
        rgb, alpha = load_photo(people[rng.integers(len(people))])
        rgba = np.dstack([rgb, alpha]).astype(np.float32) / 255
    else:
        members = [member for _, ones in sorted(sources.foregrounds.items()) for member in ones]
        rgba = shards.decode_rgba(members[rng.integers(len(members))]).astype(np.float32) / 255
    rgba[..., :3] *= rgba[..., 3:]
    ground = shards.decode_rgb(sources.backgrounds[rng.integers(len(sources.backgrounds))])
    return rgba.astype(np.float32), (ground / np.float32(255)).astype(np.float32)


def motion(
    rng: Generator, layer: Floats, ground: Floats, count: int, speed: float
) -> Iterator[tuple[Floats, Floats]]:
    """The layer and the background of each frame, HxWx4 and HxWx3: both move, turn and grow."""
    width, height = SIZE
    rows, columns = layer.shape[:2]
    size = height * 0.85 / rows
    cover = max(width * 1.5 / ground.shape[1], height * 1.5 / ground.shape[0])
    phase = rng.uniform(0, 6)
    for now in range(count):
        turn = speed * 0.6 * np.sin(now / 5)
        grown = size * (1 + 0.012 * speed * np.sin(now / 7))
        matrix = cv2.getRotationMatrix2D((columns / 2, rows / 2), turn, grown)
        matrix[:, 2] += (
            width / 2 - columns / 2 + 6 * speed * np.sin(phase + now / 6),
            height * 0.57 - rows / 2 + 2 * speed * np.cos(phase + now / 5),
        )
        placed = cv2.warpAffine(layer, matrix, SIZE, flags=cv2.INTER_AREA)
        left = width * 0.2 + 4 * speed * np.sin(now / 8 + 1)
        top = height * 0.2 + speed * np.cos(now / 9)
        place = np.array([[cover, 0, -left], [0, cover, -top]])
        behind = cv2.warpAffine(ground, place, SIZE, borderMode=cv2.BORDER_REFLECT)
        yield np.clip(placed, 0, 1).astype(np.float32), behind.astype(np.float32)


def shot(rng: Generator, layer: Floats, ground: Floats) -> Pixels:
    """A frame as a camera gives it."""
    mixed = (layer[..., :3] + (1 - layer[..., 3:]) * ground) * 255
    noisy = np.clip(mixed + rng.normal(0, GRAIN, mixed.shape), 0, 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(88, 95))])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded.astype(np.uint8)
