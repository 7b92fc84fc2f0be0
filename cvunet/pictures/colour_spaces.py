"""ICC profiles for colour spaces that a file describes without a profile.

By code points of ITU-T H.273 (CICP: PNG, AVIF, HEIC), or by gamma and chromaticities (PNG's gAMA
and cHRM).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cvunet.pictures import icc
from cvunet.pictures.headers import CodePoints

Floats = NDArray[np.float64]
#: x and y of white, red, green and blue, in the order of PNG's cHRM.
Chromaticities = Sequence[float]

D65, DCI, ILLUMINANT_C = (0.3127, 0.329), (0.314, 0.351), (0.31, 0.316)
BT_709 = (*D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
UNSPECIFIED = 2
PRIMARIES: dict[int, Chromaticities] = {  # H.273, table 2
    1: BT_709,
    UNSPECIFIED: BT_709,  # as MIAF says (ISO/IEC 23000-22, section 7.3.6.4)
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
# Photo viewers show H.273's camera curves (BT.709, 601, 2020) as sRGB, and so do we: the inverse of
# these curves would give the light in front of the camera, not on the screen.
SHOWN_AS_SRGB = frozenset({1, UNSPECIFIED, 6, 7, 13, 14, 15})
GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
PQ, HLG = 16, 18
HDR = {PQ: "PQ", HLG: "HLG"}

WHITE_NITS, PEAK_NITS = 203.0, 1000.0  # white paper, brightest white (BT.2408, BT.2100)
CURVE_SAMPLES = 1024
SRGB_GAMMA = 1 / 2.2
GAMMA_TOLERANCE, CHROMATICITY_TOLERANCE = 0.01, 0.005  # files contain rounded numbers


def profile_from_code_points(points: CodePoints) -> bytes | None:
    """The profile, None for sRGB. `ValueError` says which code point is not known.

    For PQ and HLG the profile has a tone curve for screens without HDR.
    """
    numbers = f"{points.primaries}/{points.transfer}"
    if not points.is_full_range:
        raise ValueError(f"its code points {numbers} are of narrow range")
    primaries, curve = PRIMARIES.get(points.primaries), _tone_curve(points.transfer)
    if primaries is None or curve is None:
        raise ValueError(f"its code points {numbers} are not known")
    if points.transfer in SHOWN_AS_SRGB and primaries == BT_709:
        return None
    name = NAMES.get(points.primaries, f"H.273 primaries {points.primaries}")
    if points.transfer not in SHOWN_AS_SRGB:
        name += f", transfer {points.transfer}"
    return icc.rgb_profile(name, icc.primaries_at_d50(primaries), curve)


def hdr_name(points: CodePoints) -> str | None:
    """PQ or HLG; None if the picture is not HDR."""
    return HDR.get(points.transfer)


def profile_from_gamma(gamma: float | None, chromaticities: Chromaticities | None) -> bytes | None:
    """The profile of PNG's gAMA and cHRM, None for sRGB; `ValueError` if they make no sense.

    If one of the two is missing, the value of sRGB is used.
    """
    if gamma is not None and not 0.1 <= gamma <= 4:
        raise ValueError(f"its gamma is {gamma:g}")
    is_srgb_gamma = gamma is None or abs(gamma - SRGB_GAMMA) < GAMMA_TOLERANCE
    primaries = BT_709 if chromaticities is None else tuple(chromaticities)
    has_srgb_primaries = (
        max(abs(a - b) for a, b in zip(primaries, BT_709, strict=True)) < CHROMATICITY_TOLERANCE
    )
    if has_srgb_primaries and is_srgb_gamma:  # what sRGB files contain, too
        return None
    curve = icc.SRGB_CURVE if gamma is None else icc.gamma_curve(1 / gamma)
    return icc.rgb_profile("PNG gAMA and cHRM", icc.primaries_at_d50(primaries), curve)


def _tone_curve(transfer: int) -> bytes | None:
    """The curve from levels to light, as the content of a TRC tag; None if it is not known."""
    if transfer in SHOWN_AS_SRGB:
        return icc.SRGB_CURVE
    if transfer in GAMMAS:
        return icc.gamma_curve(GAMMAS[transfer])
    if transfer not in HDR:
        return None
    levels = np.linspace(0, 1, CURVE_SAMPLES)
    nits = _pq_to_nits(levels) if transfer == PQ else PEAK_NITS * _hlg_to_light(levels) ** 1.2
    return icc.sampled_curve(_tone_mapped(nits / WHITE_NITS))


def _pq_to_nits(levels: Floats) -> Floats:
    """Levels to nits (SMPTE ST 2084, equation 4.1)."""
    root = levels ** (32 / 2523)
    light: Floats = np.maximum(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)
    return 10_000 * light ** (16384 / 2610)


def _hlg_to_light(levels: Floats) -> Floats:
    """Levels to scene light, 0 to 1 (BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    light: Floats = np.where(levels <= 0.5, levels**2 / 3, (np.exp((levels - c) / a) + b) / 12)
    return light


def _tone_mapped(light: Floats) -> Floats:
    """Light in multiples of white paper's to 0..1 (Reinhard et al. 2002, equation 4)."""
    peak = PEAK_NITS / WHITE_NITS
    return np.minimum(light * (1 + light / peak**2) / (1 + light), 1)
