"""Subjects that hardly differ from the background: dark on dark, white on white, fur on grass.

The background takes the colours that the subject has along its own outline.
"""

import cv2
import numpy as np
from numpy.random import Generator

from cvunet.training.augment import FloatPixels, chance

RING_SHARE = 16  # width of the ring inside the outline: the side divided by this
REACH_SHARE = 6
FEWEST_PX = 20
OFFSET = 0.03, 0.1  # how much brighter or darker the background is
DARK, BRIGHT = (0.06, 0.2), (0.72, 0.9)
NEAR_PX = 48  # side of the small copy in which neighbouring colours are found


def lower(
    rng: Generator, layer: FloatPixels, ground: FloatPixels
) -> tuple[FloatPixels, FloatPixels]:
    """Make layer SxSx4 (premultiplied) and ground SxSx3, both in [0, 1], similar."""
    ring = ring_of(layer[..., 3])
    if ring.sum() < FEWEST_PX:
        return layer, ground
    drawn = rng.random()
    if drawn < 0.25:
        layer = darken(rng, layer, ring)
    elif drawn < 0.5:
        layer = brighten(rng, layer, ring)
    return layer, repaint(rng, layer, ground, ring)


def ring_of(alpha: FloatPixels) -> FloatPixels:
    """1 along the inside of the outline, else 0; SxS."""
    inside = (alpha > 0.9).astype(np.float32)
    side = max(3, len(alpha) // RING_SHARE)
    core = cv2.erode(inside, np.ones((side, side), np.uint8), borderValue=1)
    return (inside - core).astype(np.float32)


def brightness(layer: FloatPixels, ring: FloatPixels) -> float:
    """Return the mean brightness over the ring."""
    return float((layer[..., :3] * ring[..., None]).sum() / (3 * ring.sum()))


def darken(rng: Generator, layer: FloatPixels, ring: FloatPixels) -> FloatPixels:
    """Less light on the subject, so that its outline is nearly black."""
    gain = min(1.0, rng.uniform(*DARK) / max(brightness(layer, ring), 1e-3))
    darker = layer.copy()
    darker[..., :3] *= np.float32(gain)
    return darker


def brighten(rng: Generator, layer: FloatPixels, ring: FloatPixels) -> FloatPixels:
    """More light on the subject, so that its outline is nearly white."""
    missing = max(1 - brightness(layer, ring), 1e-3)
    gain = min(1.0, (1 - rng.uniform(*BRIGHT)) / missing)
    brighter = layer.copy()
    alpha = layer[..., 3:]
    brighter[..., :3] = alpha - (alpha - layer[..., :3]) * np.float32(gain)
    return brighter


def repaint(
    rng: Generator, layer: FloatPixels, ground: FloatPixels, ring: FloatPixels
) -> FloatPixels:
    """The ground's structures, in the colours of the nearest part of the outline."""
    colours = layer[..., :3] * ring[..., None]
    mean = colours.sum((0, 1)) / ring.sum()
    if chance(rng, 0.6):
        near = neighbours(colours, ring, mean)
    else:
        near = np.broadcast_to(mean, ground.shape)
    spread = np.sqrt((ring[..., None] * (layer[..., :3] - mean) ** 2).sum((0, 1)) / ring.sum())
    gain = np.minimum(1.0, rng.uniform(0.3, 1.2) * spread / np.maximum(ground.std((0, 1)), 1e-3))
    offset = direction(rng, float(mean.mean())) * rng.uniform(*OFFSET) + rng.normal(0, 0.015, 3)
    painted = near + (ground - ground.mean((0, 1))) * gain + offset
    clipped: FloatPixels = np.clip(painted, 0, 1).astype(np.float32)
    return clipped


def neighbours(colours: FloatPixels, ring: FloatPixels, mean: FloatPixels) -> FloatPixels:
    """For each place SxSx3 the colours of the nearest part of the ring."""
    both = np.dstack([colours, ring])
    small = cv2.resize(both, (NEAR_PX, NEAR_PX), interpolation=cv2.INTER_AREA)
    spread = cv2.GaussianBlur(small, (0, 0), NEAR_PX / REACH_SHARE)
    # Far from the outline both sums are nearly 0: there the small share of the mean decides.
    near = (spread[..., :3] + 1e-3 * mean) / (spread[..., 3:] + 1e-3)
    size = len(ring)
    grown: FloatPixels = cv2.resize(near, (size, size)).astype(np.float32)
    return grown


def direction(rng: Generator, tone: float) -> int:
    """1: brighter background, -1: darker; black subjects need a brighter one, white a darker."""
    if tone < OFFSET[1]:
        return 1
    if tone > 1 - OFFSET[1]:
        return -1
    return 1 if chance(rng, 0.5) else -1
