"""Estimate the subject's own colours at its edge, and make the finished pixels.

`layers` gives the colours of foreground and background in small copies; the photo at full size
corrects them. `multilevel` is slower and more exact on hair.
"""

from collections.abc import Iterator
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.matte import growth, layers, multilevel, pymatting_library, transparency
from cvunet.matte.adjustments import Adjustments, adjust_edge
from cvunet.matte.layers import REGULARISATION, Layers, estimate_layers
from cvunet.matte.soft_band import BLOCK_PX, Tile, band_runs, soft_band, upscale_tile
from cvunet.pictures import bit_depth, profiles
from cvunet.pictures.bit_depth import Bits, Samples, Uint8Array, to_float
from cvunet.pictures.reading import Picture

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Estimator = Literal["fast", "refine"]

STRIP_PIXELS = 1 << 20  # flattened at a time, because each pixel needs many bytes
UNCHANGED = Adjustments()
WHITE = (255, 255, 255)


def estimate(rgb: Samples, alpha: Floats, *, small_rgb: Samples | None = None) -> Samples:
    """The foreground's colours HxWx3, from a photo HxWx3 and its alpha HxW in [0, 1].

    The result has the photo's depth and colour space. Only the soft band changes: a pixel of alpha
    1 is all foreground, a pixel of alpha 0 shows none. The means are computed from small copies,
    which is fast for large photos; then the photo at full size corrects them. ``small_rgb`` is a
    small copy of any shape, if there is one already.
    """
    result = rgb.copy()
    for tile, colours in _estimated(rgb, alpha, small_rgb):
        soft = soft_band(alpha[tile.inner]).view(np.uint8)
        cv2.copyTo(cv2.cvtColor(colours, cv2.COLOR_RGBA2RGB), soft, result[tile.inner])
    return result


def _estimated(
    rgb: Samples, alpha: Floats, small_rgb: Samples | None, own_alpha: Samples | None = None
) -> Iterator[tuple[Tile, Samples]]:
    """The colours HxWx4 of each tile with a part of the soft band, the fourth channel opaque.

    From top to bottom; right in the band only. ``own_alpha``: the photo's own, if it hides some.
    """
    tiles = list(band_runs(alpha, margin_px=0))
    if not tiles:
        return
    if own_alpha is not None:
        small_rgb = transparency.visible_copy(rgb, own_alpha, layers.finest_size(alpha.shape))
    found = estimate_layers(rgb, alpha, small_rgb)
    level = bit_depth.max_level(rgb)
    # Four channels, with which OpenCV's kernels are faster than with three.
    both = Layers(*(_opaque(each) * level for each in (found.front, found.behind)))
    for tile in tiles:
        yield tile, _correct(rgb[tile.inner], alpha[tile.inner], both, tile, alpha.shape)


def _opaque(colours: Floats) -> Floats:
    return cv2.cvtColor(colours, cv2.COLOR_RGB2RGBA).astype(np.float32, copy=False)


def _correct(
    rgb: Samples, weight: Floats, layers: Layers, tile: Tile, shape: tuple[int, ...]
) -> Samples:
    """The foreground of a tile, corrected by the photo as in `layers`; HxWx4, in levels."""
    front, behind = (upscale_tile(each, tile, shape) for each in (layers.front, layers.behind))
    rest = 1 - weight
    mixed = cv2.blendLinear(front, behind, weight, rest)
    gain = weight / (weight * weight + rest * rest + np.float32(REGULARISATION))
    change = cv2.subtract(cv2.cvtColor(rgb, cv2.COLOR_RGB2RGBA), mixed, dtype=cv2.CV_32F)
    change = cv2.multiply(change, cv2.cvtColor(gain, cv2.COLOR_GRAY2RGBA), change)
    depth = cv2.CV_16U if rgb.dtype == np.uint16 else cv2.CV_8U
    colours = cv2.add(change, front, dtype=depth)  # rounded, and clipped to the range of levels
    return colours.astype(rgb.dtype, copy=False)


def _refined(rgb: Samples, alpha: Floats, own_alpha: Samples | None) -> Samples:
    """The same by the slow estimator; colours at an edge of the photo's own alpha stay."""
    if own_alpha is None:
        return multilevel.estimate(rgb, alpha)
    whole = tuple(slice(0, length) for length in alpha.shape)
    found = multilevel.estimate(transparency.filled(rgb, own_alpha), alpha)
    np.copyto(found, rgb, where=transparency.pure(own_alpha, (whole[0], whole[1]))[..., None])
    return found


def load_estimator(estimator: Estimator) -> None:
    """Load what an estimator needs; this may take a minute. `EstimatorError` if it is absent."""
    if estimator == "refine":
        pymatting_library.load()


def alpha_levels(alpha: Floats, source_alpha: Samples | None = None, *, bits: Bits = 8) -> Samples:
    """Alpha HxW in [0, 1] as levels, multiplied by the original's own alpha if it has one."""
    if source_alpha is not None:
        alpha = alpha * to_float(source_alpha)
    return bit_depth.from_float(alpha, bits)


def compose_rgba(
    rgb: Samples,
    alpha: Floats,
    *,
    colours: Estimator | None = "fast",
    source_alpha: Samples | None = None,
    small_rgb: Samples | None = None,
    bleed: bool = False,
    adjustments: Adjustments = UNCHANGED,
) -> Samples:
    """The subject with straight alpha, HxWx4.

    ``colours`` is the estimator of its colours; None keeps the photo's colours. Colours are 0 where
    the alpha's level is 0; with ``bleed`` they are those of the nearest visible pixel. The
    original's own alpha is applied after the estimate: the colours of the photo were mixed by
    ``alpha`` alone, but for those at an edge of its own alpha, which stay (`transparency`). So are
    the ``adjustments`` of its edge; what they make visible beyond the soft band gets the nearest
    estimated colours. `EstimatorError` as `pymatting_library.load`. ``small_rgb`` as in `estimate`.
    """
    own_alpha = source_alpha if transparency.has_own(source_alpha) else None
    shown = adjust_edge(alpha, adjustments)
    reach_px = adjustments.reach_px if colours is not None else 0
    hides = not reach_px and not bleed  # else colours come from hidden pixels, or into them
    own = _refined(rgb, alpha, own_alpha) if colours == "refine" else rgb
    rgba = np.zeros((*rgb.shape[:2], 4), rgb.dtype)
    _fill(rgba, own, shown, source_alpha=source_alpha, hides=hides)
    if colours == "fast":
        for tile, found in _estimated(rgb, alpha, small_rgb, own_alpha):
            _recolour(rgba[tile.inner], found, _mixed(alpha, own_alpha, tile), hides=hides)
    if hides:
        return rgba
    if reach_px:
        visible = np.ascontiguousarray(rgba[..., 3])
        growth.extend(rgba, alpha, visible, reach_px=reach_px, source_alpha=source_alpha)
    if bleed:
        return bleed_colours(rgba)
    _whole_pixels(rgba)[rgba[..., 3] == 0] = 0
    return rgba


def _mixed(alpha: Floats, own_alpha: Samples | None, tile: Tile) -> Mask:
    """Where a tile's colours are mixed with the background."""
    is_soft = soft_band(alpha[tile.inner])
    return is_soft if own_alpha is None else is_soft & ~transparency.pure(own_alpha, tile.inner)


def _recolour(rgba: Samples, colours: Samples, is_soft: Mask, *, hides: bool) -> None:
    """Give soft pixels HxWx4 their colours, in place; with ``hides`` only the visible ones."""
    visible = cv2.extractChannel(rgba, 3)
    if hides:
        is_soft &= visible > 0
    cv2.insertChannel(visible, colours, 3)
    cv2.copyTo(colours, is_soft.view(np.uint8), rgba)


def _fill(
    rgba: Samples, rgb: Samples, alpha: Floats, *, source_alpha: Samples | None, hides: bool
) -> None:
    """Give pixels HxWx4, all 0, the colours HxWx3 and the alpha HxW in [0, 1].

    With ``hides`` pixels whose alpha has level 0 stay 0. In strips that stay in a core's cache;
    where nothing is visible, no memory is touched.
    """
    for top in range(0, len(rgb), BLOCK_PX):
        rows = slice(top, top + BLOCK_PX)
        used = np.flatnonzero(alpha[rows].any(0)) if hides else np.arange(rgb.shape[1])
        if not used.size:
            continue
        window = rows, slice(used[0], used[-1] + 1)
        own = None if source_alpha is None else source_alpha[window]
        visible = alpha_levels(alpha[window], own, bits=bit_depth.bits_of(rgb))
        part = cv2.cvtColor(rgb[window], cv2.COLOR_RGB2RGBA)
        cv2.insertChannel(visible, part, 3)
        if hides:
            cv2.copyTo(part, (visible > 0).view(np.uint8), rgba[window])
        else:
            rgba[window] = part


def _whole_pixels(rgba: Samples) -> Samples:
    """HxWx4 as HxW of integers: many times faster than single samples."""
    if rgba.dtype == np.uint8:
        return rgba.view(np.uint32)[..., 0]
    return rgba.view(np.uint64)[..., 0]


def bleed_colours(rgba: Samples) -> Samples:
    """Give transparent pixels the colours of the nearest visible pixel, if there is one.

    Game engines and browsers mix neighbouring pixels when they scale. Without this they would mix
    in black.
    """
    hidden = rgba[..., 3] == 0
    if hidden.all() or not hidden.any():
        return rgba
    growth.nearest_colours(rgba, ~hidden, hidden)
    return rgba


def background_of(picture: Picture) -> Uint8Array:
    """A picture to lay subjects on: HxWx3 in sRGB, on white where it is transparent."""
    return on_white(
        profiles.to_srgb(bit_depth.to_8_bits(picture.rgb), picture.profile), picture.alpha
    )


def on_white(rgb: Samples, alpha: Samples | None) -> Uint8Array:
    """Pixels HxWx3 with 8 bits, on white where their alpha HxW, if there is one, lets through."""
    small = bit_depth.to_8_bits(rgb)
    if alpha is None:
        return small
    flat = flatten(np.dstack([small, bit_depth.to_8_bits(alpha)]), WHITE)
    return flat.astype(np.uint8, copy=False)


def flatten(rgba: Samples, background: tuple[int, int, int] | Samples) -> Samples:
    """Put HxWx4 on a colour 0..255, or on a picture HxWx3 of the same size (else `ValueError`).

    Both are in the same colour space. The result HxWx3 has the depth of ``rgba``.
    """
    backdrop = bit_depth.to_bits(_as_samples(background), bit_depth.bits_of(rgba))
    backdrop = np.broadcast_to(backdrop, (*rgba.shape[:2], 3))
    result = cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB).astype(rgba.dtype, copy=False)
    rows = max(1, STRIP_PIXELS // rgba.shape[1])
    for top in range(0, len(rgba), rows):
        strip = slice(top, top + rows)
        _blend(result[strip], rgba[strip][..., 3], backdrop[strip])
    return result


def _blend(result: Samples, visible: Samples, backdrop: Samples) -> None:
    """Blend colours HxWx3 with a backdrop by their alpha HxW, in place."""
    opaque = bit_depth.max_level(visible)
    soft = (visible > 0) & (visible < opaque)
    weight = visible[soft].astype(np.float32)[:, None] / opaque
    mixed = result[soft] * weight + backdrop[soft] * (1 - weight)
    result[soft] = np.round(mixed)
    np.copyto(result, backdrop, where=(visible == 0)[..., None])


def _as_samples(background: tuple[int, int, int] | Samples) -> Samples:
    return np.asarray(background, np.uint8) if isinstance(background, tuple) else background
