"""Edges and colours the straightforward way: all pixels, float64 where it is easy, no tiles.

What `cvunet.inference.matting.finish` does with its default settings, as it was first written. It
is slow and takes much memory; tests compare the fast way with it. Each pixel is computed alone at
the photo's size, so large photos are taken in strips of rows.
"""

import math
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.inference import matting
from cvunet.inference.matting import FinishSettings
from cvunet.matte import growth
from cvunet.pictures.reading import Picture

Floats: TypeAlias = NDArray[Any]  # Any: the stubs of OpenCV tell no types; this is no product
DEFAULTS = FinishSettings()
PLACES = (0, 0.02, 0.1, 0.9, 0.98, 1)
CLEARED = (0, 0, 0.1, 0.9, 1, 1)
LEVELS = ((256, (23, 6)), (512, (6, 3, 3)))
LINEAR, CUBIC = cv2.INTER_LINEAR, cv2.INTER_CUBIC


def finish(picture: Picture, alpha: Floats, *, nudge: float = 0) -> Floats:
    """RGBA of the picture's depth. ``nudge`` is added to the large alpha before its haze goes."""
    guide = matting.flatten_on_grey(picture)
    matte = smoothed(clear(enlarged(clear(alpha), guide) + np.float32(nudge)))
    layers = small_layers(picture.rgb, matte, picture.alpha)
    result = np.empty((*matte.shape, 4), guide.dtype)
    for rows in strips(len(matte)):
        result[rows] = composed(picture, matte, layers, rows)
    return result


def composed(picture: Picture, matte: Floats, layers: tuple[Floats, Floats], rows: slice) -> Floats:
    """Levels of red, green, blue and alpha of some rows."""
    top = np.iinfo(picture.rgb.dtype).max
    own = 1 if picture.alpha is None else picture.alpha[rows] / top
    levels = np.floor(matte[rows] * own * top + 0.5)
    photo = (picture.rgb[rows] / top).astype(np.float32)
    front, behind = (warped(each, matte.shape, LINEAR, rows) for each in layers)
    fine, _ = corrected(photo, matte[rows][..., None], front, behind)
    is_soft = (matte[rows] > 0) & (matte[rows] < 1)
    if picture.alpha is not None:
        is_soft &= ~at_own_edge(picture.alpha)[rows]
    colours = np.floor(np.where(is_soft[..., None], fine, photo) * top + 0.5)
    return np.dstack([colours * (levels > 0)[..., None], levels])


def at_own_edge(own: Floats) -> Floats:
    """Where the picture's own alpha is lower than nearby, and two pixels around."""
    highest = cv2.dilate(own, np.ones((15, 15), np.uint8))
    lower = (own < 0.98 * highest).astype(np.uint8)
    return cv2.dilate(lower, np.ones((5, 5), np.uint8)) > 0


def visible_means(rgb: Floats, own: Floats, size: tuple[int, int]) -> Floats:
    """Means of what is visible; elsewhere the nearest of them."""
    shown = (own > 0).astype(np.float32)
    share = averaged(shown, size)
    colours: Floats = averaged(rgb * shown[..., None], size) / np.maximum(share, 1e-6)[..., None]
    growth.nearest_colours(colours, share > 1e-3, share <= 1e-3)
    return colours


def strips(height: int) -> list[slice]:
    """All rows, 1024 at a time."""
    return [slice(top, min(top + 1024, height)) for top in range(0, height, 1024)]


def clear(alpha: Floats) -> Floats:
    """Without the network's haze."""
    return np.interp(alpha, PLACES, CLEARED).astype(np.float32)


def small_sizes(shape: tuple[int, ...], alpha: Floats) -> tuple[int, int]:
    """(width, height) of the smaller of photo and alpha, by axis."""
    return min(shape[1], alpha.shape[1]), min(shape[0], alpha.shape[0])


def averaged(pixels: Floats, size: tuple[int, int]) -> Floats:
    """Means over areas; even sides are halved first, as the product always did."""
    height, width = pixels.shape[:2]
    while width >= 2 * size[0] and height >= 2 * size[1] and not (width % 2 or height % 2):
        width, height = width // 2, height // 2
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def warped(values: Floats, shape: tuple[int, ...], kernel: int, rows: slice) -> Floats:
    """Some rows of small values at the photo's size.

    `resize` is exact; `warpAffine` rounds the places, by more the larger they are.
    """
    tall = cv2.resize(values, (values.shape[1], shape[0]), interpolation=kernel)[rows]
    return cv2.resize(tall, (shape[1], len(tall)), interpolation=kernel)


def enlarged(alpha: Floats, guide: Floats) -> Floats:
    """The guided kernel: radius 2 at half the alpha's size, epsilon 1e-4, 0.75 returned."""
    shape = guide.shape[:2]
    size = small_sizes(shape, alpha)
    small, small_photo = averaged(alpha, size), averaged(guide, size)
    small_photo = (small_photo / np.iinfo(guide.dtype).max).astype(np.float32)
    square = np.ones((3, 3), np.uint8)
    near = (cv2.dilate(small, square) != cv2.erode(small, square)) | ((small > 0) & (small < 1))
    is_fitted = cv2.dilate(near.astype(np.uint8), np.ones((5, 5), np.uint8))
    half = max(1, size[0] // 2), max(1, size[1] // 2)
    fitted = fit(averaged(small, half), averaged(small_photo, half))
    model = cv2.resize(fitted, size, interpolation=LINEAR)
    residual = 0.75 * (sharpened(small, shape) - applied(model, small_photo)) * is_fitted
    residual = residual.astype(np.float32)
    nearest = (shape[1], shape[0]), None, 0, 0, cv2.INTER_NEAREST_EXACT
    is_near = cv2.resize(near.astype(np.uint8), *nearest) > 0
    result = cv2.resize(small, *nearest).astype(np.float32)
    for rows in strips(shape[0]):
        photo = (guide[rows] / np.iinfo(guide.dtype).max).astype(np.float32)
        large = applied(warped(model, shape, LINEAR, rows), photo)
        large = (large + warped(residual, shape, CUBIC, rows)).clip(0, 1)
        result[rows] = np.where(is_near[rows], large, result[rows])
    return result


def fit(alpha: Floats, photo: Floats) -> Floats:
    """The guided filter's model in windows of 5x5 pixels, by a solver for each pixel."""

    def mean(values: Floats) -> Floats:
        flat = values.reshape(*alpha.shape, -1).astype(np.float32)
        layers = [
            cv2.blur(flat[..., each], (5, 5), borderType=cv2.BORDER_REFLECT)
            for each in range(flat.shape[2])
        ]
        return np.dstack(layers).astype(np.float64)

    means, alpha_mean = mean(photo), mean(alpha)
    covariance = mean(photo * alpha[..., None]) - means * alpha_mean
    products = mean(photo[..., :, None] * photo[..., None, :]).reshape(*alpha.shape, 3, 3)
    matrix = products - means[..., :, None] * means[..., None, :] + np.eye(3) * 1e-4
    slopes = np.linalg.solve(matrix, covariance[..., None])[..., 0]
    offset = alpha_mean[..., 0] - (slopes * means).sum(2)
    return mean(np.dstack([slopes, offset])).astype(np.float32)


def applied(model: Floats, photo: Floats) -> Floats:
    """The model's values, in [0, 1]."""
    values: Floats = ((model[..., :3] * photo).sum(2) + model[..., 3]).clip(0, 1)
    return values


def sharpened(small: Floats, shape: tuple[int, ...]) -> Floats:
    """Back-projection, four times at twice the size."""
    rows, columns = small.shape
    fine = columns * (1 + (shape[1] > columns)), rows * (1 + (shape[0] > rows))
    sharp = small
    for _ in range(4 if fine != (columns, rows) else 0):
        large = cv2.resize(sharp, fine, interpolation=CUBIC).clip(0, 1)
        sharp = sharp + small - cv2.resize(large, (columns, rows), interpolation=cv2.INTER_AREA)
    return sharp


def smoothed(alpha: Floats) -> Floats:
    """The bilateral filter of the soft band."""
    smooth = cv2.bilateralFilter(alpha, DEFAULTS.diameter, DEFAULTS.sigma_color, 1.5).clip(0, 1)
    return np.where((alpha > 0) & (alpha < 1), smooth, alpha).astype(np.float32)


def small_layers(rgb: Floats, alpha: Floats, own: Floats | None) -> tuple[Floats, Floats]:
    """Colours of foreground and background in [0, 1], at the size of the last level."""
    top = np.iinfo(rgb.dtype).max
    if own is not None and own.min() < top:
        scale = max(1.0, max(alpha.shape) / LEVELS[-1][0])
        size = math.ceil(alpha.shape[1] / scale), math.ceil(alpha.shape[0] / scale)
        rgb = visible_means(rgb, own, size)
    front: Floats = np.zeros(0)
    behind: Floats = front
    for side, boxes in LEVELS:
        scale = max(1.0, max(alpha.shape) / side)
        size = math.ceil(alpha.shape[1] / scale), math.ceil(alpha.shape[0] / scale)
        image = (averaged(rgb, size) / top).astype(np.float32)
        share = averaged(alpha, size)
        if not front.size:
            front = behind = image
        front, behind = (cv2.resize(each, size, interpolation=LINEAR) for each in (front, behind))
        for box in boxes:
            front, behind = corrected(image, share[..., None], front, behind)
            front, behind = averages(front, share, box), averages(behind, 1 - share, box)
    return front, behind


def corrected(image: Floats, share: Floats, front: Floats, behind: Floats) -> tuple[Floats, Floats]:
    """Both layers, so that they compose to the photo (least squares)."""
    rest = image - front * share - behind * (1 - share)
    rest = rest / (share**2 + (1 - share) ** 2 + np.float32(0.01))
    return (front + rest * share).clip(0, 1), (behind + rest * (1 - share)).clip(0, 1)


def averages(layer: Floats, share: Floats, box: int) -> Floats:
    """Means over boxes, weighted."""
    total = cv2.blur(share, (box, box))[..., None] + np.float32(1e-5)
    return cv2.blur(layer * share[..., None], (box, box)).reshape(layer.shape) / total
