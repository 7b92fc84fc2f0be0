"""Random changes to training pictures; every function takes the generator that it draws from."""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cvunet.training.shards import Pixels

FloatPixels = NDArray[np.float32]
KEEP_SUBJECT = 0.6  # a crop that loses more of the subject than this leaves is drawn again
FILLED = 0.5, 0.9  # how much of a zoomed window is subject
LEFT_IN = 0.2, 0.9  # share of a subject that leaves the frame and stays inside
FILLS = 0.08, 0.92  # share of the frame that this part fills


def chance(rng: Generator, probability: float) -> bool:
    """True with the given probability."""
    return bool(rng.random() < probability)


def resize(pixels: Pixels, *, width: int, height: int) -> Pixels:
    """Area averaging when shrinking, so that nothing aliases; bilinear when growing."""
    is_smaller = width * height < pixels.shape[0] * pixels.shape[1]
    kernel = cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR
    return cv2.resize(pixels, (width, height), interpolation=kernel).astype(np.uint8, copy=False)


def draw_crop(rng: Generator, alpha: Pixels) -> tuple[slice, slice]:
    """Rows and columns of a window of 35-100 % of the area that keeps most of the subject."""
    height, width = alpha.shape
    subject = float(alpha.sum())
    for _ in range(6):
        area = rng.uniform(0.35, 1.0)
        aspect = np.exp(rng.uniform(-0.25, 0.25))
        rows = min(height, max(32, round(height * np.sqrt(area) * aspect)))
        columns = min(width, max(32, round(width * np.sqrt(area) / aspect)))
        top, left = rng.integers(0, height - rows + 1), rng.integers(0, width - columns + 1)
        window = slice(top, top + rows), slice(left, left + columns)
        if subject == 0 or alpha[window].sum() >= KEEP_SUBJECT * subject:
            return window
    return slice(0, height), slice(0, width)


def draw_zoom(rng: Generator, alpha: Pixels) -> tuple[slice, slice]:
    """Rows and columns of a window that the subject fills for the most part and leaves.

    A trunk that sees little of the whole tears holes into what fills a photo, unless it is taught.
    A subject for which there is no such window is cropped as any other.
    """
    height, width = alpha.shape
    places = np.argwhere(alpha >= 128)
    for _ in range(8 if len(places) else 0):
        side = np.sqrt(rng.uniform(0.12, 0.6))
        rows, columns = max(64, round(height * side)), max(64, round(width * side))
        rows, columns = min(height, rows), min(width, columns)
        centre = places[rng.integers(len(places))]
        top = int(np.clip(centre[0] - rows // 2, 0, height - rows))
        left = int(np.clip(centre[1] - columns // 2, 0, width - columns))
        window = slice(top, top + rows), slice(left, left + columns)
        if FILLED[0] <= alpha[window].mean() / 255 <= FILLED[1]:
            return window
    return draw_crop(rng, alpha)


def draw_leaving(rng: Generator, alpha: Pixels) -> tuple[slice, slice]:
    """Rows and columns of a window whose edge runs through the subject: half bodies, close-ups.

    Most pictures of people cut off the lower body. A subject for which there is no such window is
    cropped as any other.
    """
    height, width = alpha.shape
    places = np.argwhere(alpha >= 128)
    subject = float(alpha.sum())
    for _ in range(8 if len(places) else 0):
        side, aspect = rng.uniform(0.4, 0.9), np.exp(rng.uniform(-0.25, 0.25))
        rows = min(height, max(64, round(height * side * aspect)))
        columns = min(width, max(64, round(width * side / aspect)))
        row, column = places[rng.integers(len(places))]
        if chance(rng, 0.5):  # the upper part of the subject, cut below
            row = places[0, 0] + rows * rng.uniform(0.1, 0.45)
        top = int(np.clip(row - rows // 2, 0, height - rows))
        left = int(np.clip(column - columns // 2, 0, width - columns))
        window = slice(top, top + rows), slice(left, left + columns)
        part = alpha[window]
        kept = float(part.sum()) / subject
        if LEFT_IN[0] <= kept <= LEFT_IN[1] and FILLS[0] <= part.mean() / 255 <= FILLS[1]:
            return window
    return draw_crop(rng, alpha)


def rotate(rng: Generator, rgb: Pixels, alpha: Pixels) -> tuple[Pixels, Pixels]:
    """Turn both by up to 15 degrees, and fill the corners by reflection."""
    height, width = alpha.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-15, 15), 1.0)

    def turn(pixels: Pixels) -> Pixels:
        turned = cv2.warpAffine(
            pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
        return turned.astype(np.uint8, copy=False)

    return turn(rgb), turn(alpha)


def light(rng: Generator, rgb: Pixels, *, strength: float = 1.0) -> Pixels:
    """Change brightness, contrast, gamma and white balance through a table for each channel.

    HxWx3 uint8 in and out.
    """
    levels = np.linspace(0, 1, 256, dtype=np.float32)
    gamma = np.exp(rng.uniform(-0.35, 0.35) * strength)
    contrast = 1 + rng.uniform(-0.25, 0.25) * strength
    table = (levels**gamma - 0.5) * contrast + 0.5 + rng.uniform(-0.12, 0.12) * strength
    balance = 1 + rng.uniform(-0.08, 0.08, 3) * strength
    tables = np.clip(table[:, None] * balance * 255, 0, 255).astype(np.uint8)
    return cv2.LUT(rgb, tables.reshape(1, 256, 3)).astype(np.uint8, copy=False)


def saturate(rng: Generator, rgb: Pixels) -> Pixels:
    """Pull colours to or from grey, sometimes all the way; HxWx3 uint8 in and out."""
    amount = 0.0 if chance(rng, 0.06) else rng.uniform(0.5, 1.4)
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    return np.clip(grey + (rgb - grey) * amount, 0, 255).astype(np.uint8)


def blur(rng: Generator, rgb: Pixels) -> Pixels:
    """Blur out of focus, or along a random direction; HxWx3 uint8 in and out."""
    if chance(rng, 0.5):
        return cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.4, 1.6)).astype(np.uint8, copy=False)
    length = int(rng.integers(3, 8))
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1 / length
    turn = cv2.getRotationMatrix2D(((length - 1) / 2, (length - 1) / 2), rng.uniform(0, 180), 1.0)
    kernel = cv2.warpAffine(kernel, turn, (length, length)).astype(np.float32, copy=False)
    kernel /= max(float(kernel.sum()), 1e-6)
    return cv2.filter2D(rgb, -1, kernel).astype(np.uint8, copy=False)


def dusk(rng: Generator, rgb: Pixels) -> Pixels:
    """Take a fraction of the exposure, and add noise as in low light; HxWx3 uint8 in and out."""
    noise = rng.normal(0, rng.uniform(2, 8), rgb.shape)
    return np.clip(rgb * rng.uniform(0.15, 0.5) + noise, 0, 255).astype(np.uint8)


def grain(rng: Generator, rgb: Pixels) -> Pixels:
    """Add sensor noise; HxWx3 uint8 in and out."""
    noise = rng.normal(0, rng.uniform(1, 14), rgb.shape)
    return np.clip(rgb + noise, 0, 255).astype(np.uint8)


def compress(rng: Generator, rgb: Pixels) -> Pixels:
    """Add JPEG artefacts; HxWx3 uint8 in and out."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 95))]
    _, data = cv2.imencode(".jpg", rgb, quality)
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded.astype(np.uint8, copy=False)


def wear(rng: Generator, rgb: Pixels) -> Pixels:
    """Do what cameras and the web do to a photo; most are left nearly as they are.

    HxWx3 uint8 in and out.
    """
    if chance(rng, 0.7):
        rgb = light(rng, rgb)
    if chance(rng, 0.5):
        rgb = saturate(rng, rgb)
    for change, probability in ((blur, 0.12), (dusk, 0.05), (grain, 0.15), (compress, 0.25)):
        if chance(rng, probability):
            rgb = change(rng, rgb)
    return rgb
