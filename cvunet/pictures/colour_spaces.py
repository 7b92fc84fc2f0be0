"""Colour spaces that files name by numbers or by measures, made into profiles.

Numbers are those of ITU-T H.273 (CICP: PNG, AVIF, HEIC), measures those of PNG's gAMA and cHRM.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cvunet.pictures import icc
from cvunet.pictures.headers import CodePoints

Floats = NDArray[np.float64]
#: x and y of white, red, green and blue: the order of PNG's cHRM.
Chromaticities = Sequence[float]

D65, DCI, ILLUMINANT_C = (0.3127, 0.329), (0.314, 0.351), (0.31, 0.316)
BT_709 = (*D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
UNSPECIFIED = 2
PRIMARIES: dict[int, Chromaticities] = {  # H.273, table 2
    1: BT_709,
    UNSPECIFIED: BT_709,  # as MIAF has it (ISO/IEC 23000-22, section 7.3.6.4)
    4: (*ILLUMINANT_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    7: (*D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    8: (*ILLUMINANT_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
    11: (*DCI, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    12: (*D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    22: (*D65, 0.63, 0.34, 0.295, 0.605, 0.155, 0.077),
}
NAMES = {1: "BT.709", 9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
# H.273's curves of cameras (BT.709, 601, 2020) are shown as sRGB by viewers of photos, and so here:
# their inverse would be light before the camera, not on the screen.
LIKE_SRGB = frozenset({1, UNSPECIFIED, 6, 7, 13, 14, 15})
GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
PQ, HLG = 16, 18
HDR = {PQ: "PQ", HLG: "HLG"}

PAPER_NITS, PEAK_NITS = 203.0, 1000.0  # of white paper, of the brightest (BT.2408, BT.2100)
SAMPLES = 1024
USUAL_GAMMA = 1 / 2.2
CLOSE_GAMMA, CLOSE_PLACE = 0.01, 0.005  # gamma, chromaticity: files round them


def by_numbers(points: CodePoints) -> bytes | None:
    """The profile, None for sRGB. `ValueError` says what is not known.

    Of PQ and HLG it has the curve with which a screen without HDR shows them.
    """
    numbers = f"{points.primaries}/{points.transfer}"
    if not points.is_full_range:
        raise ValueError(f"its code points {numbers} are of narrow range")
    primaries, curve = PRIMARIES.get(points.primaries), _curve(points.transfer)
    if primaries is None or curve is None:
        raise ValueError(f"its code points {numbers} are not known")
    if points.transfer in LIKE_SRGB and primaries == BT_709:
        return None
    name = NAMES.get(points.primaries, f"H.273 primaries {points.primaries}")
    if points.transfer not in LIKE_SRGB:
        name += f", transfer {points.transfer}"
    return icc.rgb_profile(name, icc.adapted(primaries), curve)


def hdr_name(points: CodePoints) -> str | None:
    """PQ or HLG."""
    return HDR.get(points.transfer)


def by_measures(gamma: float | None, places: Chromaticities | None) -> bytes | None:
    """The profile of PNG's gAMA and cHRM, None for sRGB; `ValueError` for those of no space.

    Where one is missing, sRGB's stands for it.
    """
    if gamma is not None and not 0.1 <= gamma <= 4:
        raise ValueError(f"its gamma is {gamma:g}")
    is_usual = gamma is None or abs(gamma - USUAL_GAMMA) < CLOSE_GAMMA
    primaries = BT_709 if places is None else tuple(places)
    is_known = max(abs(a - b) for a, b in zip(primaries, BT_709, strict=True)) < CLOSE_PLACE
    if is_known and is_usual:  # what sRGB's own files say beside it
        return None
    curve = icc.SRGB_CURVE if gamma is None else icc.gamma(1 / gamma)
    return icc.rgb_profile("PNG gAMA and cHRM", icc.adapted(primaries), curve)


def _curve(transfer: int) -> bytes | None:
    """From levels to light: the content of a TRC tag; None if it is not known."""
    if transfer in LIKE_SRGB:
        return icc.SRGB_CURVE
    if transfer in GAMMAS:
        return icc.gamma(GAMMAS[transfer])
    if transfer not in HDR:
        return None
    levels = np.linspace(0, 1, SAMPLES)
    nits = _pq(levels) if transfer == PQ else PEAK_NITS * _hlg(levels) ** 1.2
    return icc.sampled(_dimmed(nits / PAPER_NITS))


def _pq(levels: Floats) -> Floats:
    """Levels to nits (SMPTE ST 2084, equation 4.1)."""
    root = levels ** (32 / 2523)
    light: Floats = np.maximum(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)
    return 10_000 * light ** (16384 / 2610)


def _hlg(levels: Floats) -> Floats:
    """Levels to light of the scene, 0 to 1 (BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    light: Floats = np.where(levels <= 0.5, levels**2 / 3, (np.exp((levels - c) / a) + b) / 12)
    return light


def _dimmed(light: Floats) -> Floats:
    """Multiples of white paper's light to 0..1 (Reinhard et al. 2002, equation 4)."""
    peak = PEAK_NITS / PAPER_NITS
    return np.minimum(light * (1 + light / peak**2) / (1 + light), 1)
