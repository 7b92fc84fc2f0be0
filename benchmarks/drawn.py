"""A glass and a head of hair, drawn here, before a wall: their mattes are known, no rights matter.

What photos of glass and of flying hair would show, of which none in the public domain is at hand.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import mattes, photos
from benchmarks.mattes import Sample
from cvunet.pictures import reading

Floats = NDArray[np.float32]

SIDE_PX = 1536
SEED = 11
STRANDS = 420
GLASS = (0.86, 0.92, 0.95)  # its own tint, as RGB
HAIR = (0.16, 0.09, 0.05)
SHIFT = 4  # sixteenths of a pixel


def wall(side: int) -> Floats:
    """`brick.png` with a warm tint, SxSx3 in [0, 1]."""
    with photos.path_of("brick.png").open("rb") as stream:
        rgb = reading.read(stream, max_pixels=10_000_000).rgb
    large = cv2.resize(rgb, (side, side), interpolation=cv2.INTER_CUBIC)
    tint = np.array((1.0, 0.82, 0.68), np.float32) / np.float32(255)
    tinted: Floats = (large.astype(np.float32) * tint).astype(np.float32)
    return tinted


def glass(side: int) -> Floats:
    """A wine glass SxSx4, premultiplied: thin walls, clear inside, highlights, a full rim."""
    alpha = np.zeros((side, side), np.float32)
    colours = np.zeros((side, side, 3), np.float32) + np.array(GLASS, np.float32)
    rows = np.linspace(0, 1, 240)
    # Half of its width from the rim down: bowl, stem, foot.
    bowl = 0.17 * np.sqrt(np.clip(1 - ((rows[:150] - 0.16) / 0.30) ** 2, 0, 1)) + 0.008
    stem, foot = np.full(75, 0.012), 0.012 + 0.13 * np.linspace(0, 1, 15) ** 3
    half = np.concatenate([bowl, stem, foot])
    down = 0.1 + 0.8 * rows
    outline = np.concatenate(
        [np.column_stack([0.5 - half, down]), np.column_stack([0.5 + half, down])[::-1]]
    )
    points = np.round(outline * side * 2**SHIFT).astype(np.int32)
    inside, walls = np.zeros((side, side), np.uint8), np.zeros((side, side), np.uint8)
    cv2.fillPoly(inside, [points], 255, cv2.LINE_AA, SHIFT)
    cv2.polylines(walls, [points], isClosed=True, color=255, thickness=side // 220,
                  lineType=cv2.LINE_AA, shift=SHIFT)  # fmt: skip
    alpha = np.maximum(alpha, inside.astype(np.float32) / 255 * np.float32(0.12))
    alpha = np.maximum(alpha, walls.astype(np.float32) / 255 * np.float32(0.65))
    for left, width, strength in ((0.40, 0.012, 0.8), (0.585, 0.006, 0.6)):
        light = np.zeros((side, side), np.uint8)
        centre = int(left * side), int(0.26 * side)
        cv2.ellipse(light, centre, (int(width * side), int(0.09 * side)), 4, 0, 360, 255, -1,
                    cv2.LINE_AA)  # fmt: skip
        shine = cv2.GaussianBlur(light, (0, 0), side / 500).astype(np.float32) / 255 * strength
        colours += (1 - colours) * shine[..., None]
        alpha = np.maximum(alpha, shine)
    return np.dstack([colours * alpha[..., None], alpha]).astype(np.float32)


def hair(side: int) -> Floats:
    """A round head SxSx4, premultiplied, with strands of half a pixel to three all round."""
    rng = np.random.default_rng(SEED)
    alpha = np.zeros((side, side), np.uint8)
    cv2.ellipse(alpha, (side // 2, int(0.62 * side)), (int(0.2 * side), int(0.25 * side)), 0, 0,
                360, 255, -1, cv2.LINE_AA)  # fmt: skip
    solid = alpha.astype(np.float32) / 255
    for _ in range(STRANDS):
        angle = rng.uniform(-np.pi, 0)
        root = np.array((0.5 + 0.19 * np.cos(angle), 0.62 + 0.24 * np.sin(angle)))
        bend, reach = rng.normal(0, 0.8), rng.uniform(0.05, 0.2)
        steps = np.linspace(0, 1, 24)[:, None]
        turned = angle + bend * steps
        path = root + reach * steps * np.column_stack([np.cos(turned), np.sin(turned)])
        strand = np.zeros((side, side), np.uint8)
        points = np.round(path * side * 2**SHIFT).astype(np.int32)
        cv2.polylines(strand, [points], isClosed=False, color=255,
                      thickness=int(rng.integers(1, 4)), lineType=cv2.LINE_AA,
                      shift=SHIFT)  # fmt: skip
        np.maximum(solid, strand.astype(np.float32) / 255 * rng.uniform(0.4, 1), out=solid)
    shade = np.array(HAIR, np.float32) * (1 + 0.3 * mattes.texture(rng, side))
    return np.dstack([shade * solid[..., None], solid]).astype(np.float32)


LAYERS: dict[str, Callable[[int], Floats]] = {"glass": glass, "hair": hair}


def sample(name: str, side: int = SIDE_PX) -> Sample:
    """One of `LAYERS` before the wall, as a camera gives it."""
    rng = np.random.default_rng(SEED)
    return mattes.shot(rng, LAYERS[name](side), wall(side))
