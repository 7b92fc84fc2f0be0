"""Hair grown from a foreground's outline: the shards have little true soft alpha of their own."""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cvunet.training.augment import FloatPixels
from cvunet.training.shards import Pixels

SEGMENTS = 6
FRACTION_BITS = 4  # of OpenCV's fixed-point coordinates
SHORTEST_OUTLINE_PX = 60
SHORTEST_HEAD_PX = 12
HEAD_SHARE = 0.13  # of a person's height
LONGEST_OVER_HEAD = 0.25  # `grow` makes strands of 0.02 to 0.16 of its reach
ROOT_DEPTH_PX = 3  # so far inside the outline a strand takes its colour


def crown(rng: Generator, rgba: Pixels) -> Pixels:
    """A standing person HxWx4 with hair from the head's outline; the picture grows to hold it."""
    rows = np.flatnonzero((rgba[..., 3] >= 128).any(1))
    if not len(rows):
        return rgba
    head_px = max(1, round(HEAD_SHARE * (rows[-1] + 1 - rows[0])))
    room = cv2.copyMakeBorder(
        rgba, head_px, 0, head_px, head_px, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0)
    )
    layer = room.astype(np.float32) / np.float32(255)
    layer[..., :3] *= layer[..., 3:]
    lowest = int(rows[0]) + 2 * head_px  # in rows of the picture with room
    grown = grow(rng, layer, lowest=lowest, reach=head_px / LONGEST_OVER_HEAD)
    straight = grown.copy()
    straight[..., :3] /= np.maximum(grown[..., 3:], 1 / 255)
    bald = layer[..., 3] >= 1
    made: Pixels = np.clip(straight * 255 + 0.5, 0, 255).astype(np.uint8)
    made[bald] = room[bald]
    return made


def grow(
    rng: Generator,
    layer: FloatPixels,
    *,
    lowest: int | None = None,
    reach: float | None = None,
) -> FloatPixels:
    """The layer HxWx4, premultiplied and in [0, 1], with strands behind part of its outline.

    No root lies below the row ``lowest``; the longest strand is 0.16 of ``reach``.
    """
    roots, outward = outline(np.ascontiguousarray(layer[..., 3]))
    if lowest is not None:
        is_high = roots[:, 1] < lowest
        roots, outward = roots[is_high], outward[is_high]
    if len(roots) < (SHORTEST_OUTLINE_PX if lowest is None else SHORTEST_HEAD_PX):
        return layer
    height, width = layer.shape[:2]
    arc = np.arange(int(len(roots) * rng.uniform(0.15, 0.6))) + rng.integers(len(roots))
    most = 260 if lowest is None else max(41, min(260, 2 * len(roots)))
    chosen = rng.choice(arc, int(rng.integers(40, most))) % len(roots)
    paths = comb(rng, roots[chosen], outward[chosen], reach=reach or width)
    inside = (roots[chosen] - ROOT_DEPTH_PX * outward[chosen]).round().astype(int)
    inside = np.clip(inside, 0, (width - 1, height - 1))
    colours = layer[inside[:, 1], inside[:, 0]]
    straight = colours[:, :3] / np.maximum(colours[:, 3:], 1 / 255)
    hair = paint(rng, paths, straight, shape=(height, width))
    return layer + (1 - layer[..., 3:]) * hair


def outline(alpha: FloatPixels) -> tuple[FloatPixels, FloatPixels]:
    """Places (x, y) on the longest outer contour, Nx2, and the unit vectors that point outward."""
    mask = (alpha > 0.5).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32)
    places = max(contours, key=len)[:, 0]
    smooth = cv2.GaussianBlur(alpha, (0, 0), 3)
    slope = np.stack([cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)], 2)
    outward = -slope[places[:, 1], places[:, 0]]
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-6)
    return places.astype(np.float32), outward.astype(np.float32)


def comb(
    rng: Generator, roots: FloatPixels, outward: FloatPixels, *, reach: float
) -> NDArray[np.float64]:
    """Strands as Nx(SEGMENTS + 1)x2 places: outward, drawn to one side, curling a little."""
    count = len(roots)
    drawn = rng.uniform(0, 2 * np.pi)
    towards = outward + rng.uniform(0, 1.2) * np.array([np.cos(drawn), np.sin(drawn)])
    angles = np.arctan2(towards[:, 1], towards[:, 0]) + rng.normal(0, 0.25, count)
    curl = rng.normal(0, 0.12) + rng.normal(0, 0.08, count)
    lengths = reach * rng.uniform(0.02, 0.12) * rng.uniform(0.4, 1.3, count)
    turned = angles[:, None] + curl[:, None] * np.arange(SEGMENTS)
    steps = np.stack([np.cos(turned), np.sin(turned)], 2) * (lengths / SEGMENTS)[:, None, None]
    starts = (roots - ROOT_DEPTH_PX * outward)[:, None]
    return np.concatenate([starts, starts + steps.cumsum(1)], axis=1)


def paint(
    rng: Generator, paths: NDArray[np.float64], colours: FloatPixels, *, shape: tuple[int, int]
) -> FloatPixels:
    """The strands alone, HxWx4, premultiplied and in [0, 1]; thinner than a pixel by blurring."""
    canvas: Pixels = np.zeros((*shape, 4), np.uint8)
    shades = np.clip(colours * rng.uniform(0.7, 1.25, (len(colours), 1)), 0, 1)
    points = np.round(paths * 2**FRACTION_BITS).astype(np.int32)
    for path, shade in zip(points, shades, strict=True):
        colour = (*(float(level) * 255 for level in shade), 255.0)
        cv2.polylines(canvas, [path], False, colour, 1, cv2.LINE_AA, FRACTION_BITS)
    hair = cv2.GaussianBlur(canvas.astype(np.float32), (0, 0), rng.uniform(0.3, 0.9))
    return (hair * (rng.uniform(0.5, 1.0) / 255)).astype(np.float32)
