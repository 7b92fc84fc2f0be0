"""Foregrounds with true alpha laid over backgrounds (Deep Image Matting, Xu et al. 2017)."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from cvunet.training import augment, placing
from cvunet.training import contrast as low
from cvunet.training import negatives as distraction
from cvunet.training.augment import FloatPixels, chance
from cvunet.training.shards import Pixels

RIM = 5  # side of the square that a hard mask is eroded by, at the network's own size


def studio(rng: Generator, size: int) -> Pixels:
    """A plain backdrop, mostly near white, with a gentle gradient, as products are shot."""
    level = rng.uniform(200, 255) if chance(rng, 0.7) else rng.uniform(10, 230)
    colour = np.clip(level + rng.normal(0, 6 if chance(rng, 0.6) else 40, 3), 0, 255)
    rows, columns = np.mgrid[0:size, 0:size] / size - 0.5
    slope = rng.normal(0, 18, 2)
    shade = slope[0] * rows + slope[1] * columns
    backdrop: Pixels = np.clip(colour + shade[..., None], 0, 255).astype(np.uint8)
    return backdrop


def backdrop(rng: Generator, rgb: Pixels, size: int) -> Pixels:
    """A random square of a background picture, flipped, turned and re-lit."""
    side = int(min(rgb.shape[:2]) * rng.uniform(0.5, 1.0))
    top = int(rng.integers(0, rgb.shape[0] - side + 1))
    left = int(rng.integers(0, rgb.shape[1] - side + 1))
    square = augment.resize(rgb[top : top + side, left : left + side], width=size, height=size)
    if chance(rng, 0.5):
        square = square[:, ::-1]
    return augment.light(rng, np.ascontiguousarray(square))


def place(rng: Generator, rgba: Pixels, size: int) -> FloatPixels:
    """The foreground on an empty square, colours premultiplied, SxSx4 in [0, 1].

    Its longer side is an eighth of the frame to a little more than all of it; it may leave it.
    """
    foreground = to_unit(rgba)
    foreground[..., :3] *= foreground[..., 3:]
    if chance(rng, 0.5):
        foreground = foreground[:, ::-1]
    height, width = foreground.shape[:2]
    reach = size * (rng.uniform(0.55, 1.15) if chance(rng, 0.8) else rng.uniform(0.12, 0.55))
    scale = reach / max(height, width)
    stretch = np.exp(rng.uniform(-0.12, 0.12))
    angle = rng.uniform(-20, 20) if chance(rng, 0.3) else 0.0
    if scale < 1:  # warpAffine does not average: shrink first, then move
        shrunk = max(2, round(width * scale * stretch)), max(2, round(height * scale / stretch))
        small = cv2.resize(foreground, shrunk, interpolation=cv2.INTER_AREA)
        foreground = small.astype(np.float32, copy=False)
        scale, stretch = 1.0, 1.0
    height, width = foreground.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
    spread = 0.12 + 0.25 * max(0.0, 1 - reach / size)
    centre = size * (0.5 + rng.uniform(-spread, spread, 2))
    matrix[:, 2] += centre - (width / 2, height / 2)
    return cv2.warpAffine(
        np.ascontiguousarray(foreground), matrix, (size, size), flags=cv2.INTER_LINEAR
    ).astype(np.float32, copy=False)


def match_light(rng: Generator, layer: FloatPixels, background: FloatPixels) -> FloatPixels:
    """Move the foreground's brightness part of the way to the background's, to blend in."""
    coverage = float(layer[..., 3].sum())
    if coverage < 1:
        return layer
    mean = float(layer[..., :3].sum()) / (3 * coverage)
    gain = 1 + rng.uniform(0, 0.6) * (float(background.mean()) / max(mean, 0.05) - 1)
    matched = layer.copy()
    matched[..., :3] = np.minimum(layer[..., :3] * np.clip(gain, 0.4, 1.8), layer[..., 3:])
    return matched


def match_blur(rng: Generator, layer: FloatPixels, background: FloatPixels) -> FloatPixels:
    """Blur a foreground that is sharper than its background, up to a pixel, to blend in."""
    if layer[..., 3].max() <= 0 or detail(layer[..., :3]) <= detail(background):
        return layer
    blurred = cv2.GaussianBlur(layer, (0, 0), rng.uniform(0.3, 1.0))
    return blurred.astype(np.float32, copy=False)


def detail(picture: FloatPixels) -> float:
    """How much of a picture's contrast, HxWx3, lies in its finest structures: 0 to about 1."""
    fine = np.abs(picture - cv2.GaussianBlur(picture, (0, 0), 1.0)).mean()
    coarse = np.abs(picture - cv2.GaussianBlur(picture, (0, 0), 4.0)).mean()
    return float(fine / max(float(coarse), 1e-6))


def shadow(rng: Generator, alpha: FloatPixels) -> FloatPixels:
    """Light left, SxSx1 in [0, 1], under the blurred, shifted alpha; never foreground itself."""
    size = alpha.shape[0]
    shift = rng.uniform(-0.06, 0.06, 2) * size + (0, 0.03 * size)
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
    moved = cv2.warpAffine(alpha, matrix, (size, size))
    soft = cv2.GaussianBlur(moved, (0, 0), rng.uniform(0.01, 0.05) * size)
    darkness: FloatPixels = (rng.uniform(0.1, 0.6) * soft[..., None]).astype(np.float32)
    return 1 - darkness


@dataclass(frozen=True, slots=True)
class Composite:
    """A picture with all that it was made of."""

    rgb: Pixels
    """SxSx3."""
    alpha: Pixels
    """SxS."""
    contrast: Pixels
    """SxS: mean over the channels of |F - B|, 0 where there is no foreground."""


@dataclass(frozen=True, slots=True)
class Chances:
    """Chances that a composite is made harder; for 0 no random number is drawn."""

    blurs: float = 0.0
    """That a foreground is made no sharper than the background."""
    leaves: float = 0.0
    """That the first foreground leaves the frame."""
    lowers: float = 0.0
    """That the background takes the first foreground's colours."""


PLAIN = Chances()


def compose(
    rng: Generator,
    foregrounds: list[Pixels],
    background: Pixels,
    *,
    chances: Chances = PLAIN,
    negatives: Sequence[FloatPixels] = (),
) -> Composite:
    """Lay foregrounds over a square background SxSx3 with ``negatives`` SxSx4 in it.

    C = alpha F + (1 - alpha) B, on premultiplied colours (Porter and Duff 1984).
    """
    size = background.shape[0]
    ground = to_unit(background)
    alpha: FloatPixels = np.zeros((size, size), np.float32)
    front: FloatPixels = np.zeros((size, size, 3), np.float32)
    for index, rgba in enumerate(foregrounds):
        layer = lay(rng, rgba, size, chances=chances, is_main=bool(negatives))
        rng.random()  # was for hair; without it the validation's composites would change
        layer = match_light(rng, layer, ground)
        if index == 0:
            if chances.lowers and chance(rng, chances.lowers):
                layer, ground = low.lower(rng, layer, ground)
            ground = with_negatives(ground, negatives)
        if chance(rng, chances.blurs):
            layer = match_blur(rng, layer, ground)
        if chance(rng, 0.35):
            light = shadow(rng, layer[..., 3])
            ground, front = ground * light, front * light
        front = layer[..., :3] + (1 - layer[..., 3:]) * front
        alpha = layer[..., 3] + (1 - layer[..., 3]) * alpha
    return laid(front, alpha, ground if foregrounds else with_negatives(ground, negatives))


def with_negatives(ground: FloatPixels, negatives: Sequence[FloatPixels]) -> FloatPixels:
    """The ground SxSx3 with the negatives laid over it."""
    for negative in negatives:
        ground = distraction.behind(ground, negative)
    return ground


def lay(rng: Generator, rgba: Pixels, size: int, *, chances: Chances, is_main: bool) -> FloatPixels:
    """Place a foreground; with ``is_main`` it is larger than the negatives."""
    if chances.leaves and chance(rng, chances.leaves):
        return placing.leaving(rng, rgba, size)
    return placing.large(rng, rgba, size) if is_main else place(rng, rgba, size)


def change_ground(
    rng: Generator, rgb: Pixels, mask: Pixels, background: Pixels, *, lowers: float = 0.0
) -> Composite:
    """The subject of a photo SxSx3 where it stands, before another background SxSx3.

    Copy-paste (Ghiasi et al. 2021, arXiv:2012.07177). A hard mask SxS is a pixel too wide here and
    there, so a rim is cut off: what is laid over the background is the subject, and its alpha true.
    """
    inside = cv2.erode((mask >= 128).astype(np.float32), np.ones((RIM, RIM), np.uint8))
    alpha: FloatPixels = cv2.GaussianBlur(inside, (0, 0), 0.8).astype(np.float32, copy=False)
    colours = to_unit(rgb) * alpha[..., None]
    ground = to_unit(background)
    layer = match_light(rng, np.concatenate([colours, alpha[..., None]], axis=2), ground)
    if lowers and chance(rng, lowers):
        layer, ground = low.lower(rng, layer, ground)
    return laid(layer[..., :3], layer[..., 3], ground)


def laid(front: FloatPixels, alpha: FloatPixels, ground: FloatPixels) -> Composite:
    """Premultiplied colours SxSx3 with their alpha SxS over the ground SxSx3, all in [0, 1]."""
    straight = front / np.maximum(alpha, 1 / 255)[..., None]
    contrast = np.abs(straight - ground).mean(2) * (alpha > 0)
    composed = front + (1 - alpha[..., None]) * ground
    return Composite(to_bytes(composed), to_bytes(alpha), to_bytes(contrast))


def to_bytes(values: FloatPixels) -> Pixels:
    """[0, 1] to 0..255, rounded."""
    rounded: Pixels = np.clip(values * 255 + 0.5, 0, 255).astype(np.uint8)
    return rounded


def to_unit(pixels: Pixels) -> FloatPixels:
    """0..255 to [0, 1]."""
    return pixels.astype(np.float32) / np.float32(255)
