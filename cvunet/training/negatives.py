"""Things like subjects that stay background: lettering, posters, statues, blurred objects.

Each is a layer SxSx4, premultiplied and in [0, 1], which is laid over the background.
"""

import string

import cv2
import numpy as np
from numpy.random import Generator

from cvunet.training import augment, placing
from cvunet.training.augment import FloatPixels, chance
from cvunet.training.shards import Pixels

FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
)
LETTERS = string.ascii_uppercase + string.ascii_lowercase + string.digits
CLEAR_SHARE = 40  # distance to a photo's subject: the side divided by this
MOST_COVERED = 0.25  # largest share of a layer that a photo's subject may cover


def lettering(rng: Generator, size: int) -> FloatPixels:
    """One to three lines of letters, on the wall, on a sign or over the whole picture."""
    canvas: Pixels = np.zeros((size, size, 4), np.uint8)
    ink = rng.random(3) * 255 if chance(rng, 0.5) else np.full(3, 255.0 * rng.integers(2))
    font = FONTS[rng.integers(len(FONTS))]
    scale = size / 220 * np.exp(rng.uniform(-0.9, 0.9))
    thickness = max(1, round(scale * rng.uniform(1, 4)))
    left, top = (size * rng.uniform(-0.1, 0.6, 2)).astype(int)
    lines = int(rng.integers(1, 4))
    line_px = round(38 * scale)
    if chance(rng, 0.3):
        paper = (*(rng.random(3) * 255), 255.0)
        corner = int(left + size * rng.uniform(0.2, 0.6)), int(top + line_px * (lines + 0.4))
        cv2.rectangle(canvas, (int(left) - line_px // 3, int(top)), corner, paper, -1)
    for line in range(lines):
        text = "".join(rng.choice(list(LETTERS + "   "), int(rng.integers(2, 12))))
        place = int(left), int(top + line_px * (line + 1))
        cv2.putText(canvas, text, place, font, scale, (*ink, 255.0), thickness, cv2.LINE_AA)
    turn = rng.uniform(-12, 12) if chance(rng, 0.4) else 0.0
    matrix = cv2.getRotationMatrix2D((size / 2, size / 2), turn, 1.0)
    turned = cv2.warpAffine(canvas, matrix, (size, size), flags=cv2.INTER_LINEAR)
    return premultiplied(turned.astype(np.uint8)) * np.float32(rng.uniform(0.6, 1.0))


def premultiplied(rgba: Pixels) -> FloatPixels:
    """Return RGBA as a layer HxWx4 in [0, 1], colours premultiplied."""
    layer = rgba.astype(np.float32) / np.float32(255)
    layer[..., :3] *= layer[..., 3:]
    return layer


def poster(rng: Generator, rgb: Pixels, size: int) -> FloatPixels:
    """A picture HxWx3 as a poster, in slight perspective, with or without a frame."""
    height, width = rgb.shape[:2]
    longest = size * rng.uniform(0.2, 0.5)
    scale = longest / max(height, width)
    small = augment.resize(
        rgb, width=max(8, round(width * scale)), height=max(8, round(height * scale))
    )
    if chance(rng, 0.6):
        rim = max(1, round(longest * rng.uniform(0.01, 0.08)))
        colour = [float(level) for level in rng.random(3) * 255]
        small = cv2.copyMakeBorder(
            small, rim, rim, rim, rim, cv2.BORDER_CONSTANT, value=colour
        ).astype(np.uint8)
    height, width = small.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    start = rng.uniform(-0.1, 0.9, 2) * (size - width, size - height)
    moved = corners + start + rng.normal(0, 0.04 * longest, (4, 2))
    matrix = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    opaque = np.dstack([small, np.full((height, width), 255, np.uint8)])
    warped = cv2.warpPerspective(opaque, matrix, (size, size), flags=cv2.INTER_LINEAR)
    return warped.astype(np.float32) / np.float32(255)


def statue(rng: Generator, rgba: Pixels, size: int) -> FloatPixels:
    """A cut-out HxWx4 in colours of stone or bronze, smaller than a subject."""
    grey = cv2.cvtColor(np.ascontiguousarray(rgba[..., :3]), cv2.COLOR_RGB2GRAY)
    tint = np.array((1.0, 0.95, 0.86)) if chance(rng, 0.7) else np.array((0.75, 0.68, 0.5))
    tone = 128 + (grey[..., None].astype(np.float32) - 128) * rng.uniform(0.4, 0.8)
    stone = np.dstack([np.clip(tone * tint, 0, 255).astype(np.uint8), rgba[..., 3]])
    layer = placing.aside(rng, stone, size)
    if chance(rng, 0.5):
        layer = soften(layer, size * rng.uniform(0.002, 0.008))
    return layer


def second(rng: Generator, rgba: Pixels, size: int) -> FloatPixels:
    """A cut-out HxWx4 behind the subject, out of focus."""
    return soften(placing.aside(rng, rgba, size), size * rng.uniform(0.008, 0.025))


def soften(layer: FloatPixels, deviation_px: float) -> FloatPixels:
    """Put a layer out of focus, its alpha too."""
    return cv2.GaussianBlur(layer, (0, 0), deviation_px).astype(np.float32, copy=False)


def behind(ground: FloatPixels, layer: FloatPixels) -> FloatPixels:
    """The layer over a background SxSx3 in [0, 1]."""
    return layer[..., :3] + (1 - layer[..., 3:]) * ground


def beside(rgb: Pixels, alpha: Pixels, layer: FloatPixels) -> Pixels:
    """The layer in a photo SxSx3, around its subject by the mask SxS.

    A mask is not exact to the pixel, so the layer keeps a distance from it. If more than a quarter
    of the layer would be covered, it is left out.
    """
    size = len(alpha)
    rim_px = max(2, size // CLEAR_SHARE)
    reach = np.ones((2 * rim_px + 1, 2 * rim_px + 1), np.uint8)
    near = cv2.dilate((alpha > 8).astype(np.float32), reach)
    if (layer[..., 3] * near).sum() > MOST_COVERED * max(float(layer[..., 3].sum()), 1.0):
        return rgb
    free = 1 - cv2.GaussianBlur(near, (0, 0), rim_px / 5)
    seen = layer * free[..., None].astype(np.float32)
    laid = behind(rgb.astype(np.float32) / np.float32(255), seen)
    made: Pixels = np.clip(laid * 255 + 0.5, 0, 255).astype(np.uint8)
    return made
