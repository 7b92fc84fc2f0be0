"""Samples of 8 or 16 bits, and conversions between them.

A 16-bit level is 257 times the 8-bit level for the same share of white.
"""

from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Uint8Array = NDArray[np.uint8]
#: uint8 or uint16. No union: the types of numpy and OpenCV cannot follow a union of arrays.
Samples: TypeAlias = NDArray[np.unsignedinteger[Any]]
Bits = Literal[8, 16]

LEVEL_RATIO = 257


def bits_of(samples: Samples) -> Bits:
    """Bits of a sample: 8 or 16."""
    return 16 if samples.dtype == np.uint16 else 8


def max_level(samples: Samples) -> int:
    """The level of white, or of opaque: 255 or 65535."""
    return 65535 if samples.dtype == np.uint16 else 255


def to_8_bits(samples: Samples) -> Uint8Array:
    """Return a picture in 8 bits, rounded; 8-bit pictures are returned without a copy."""
    if samples.dtype == np.uint8:
        return samples.astype(np.uint8, copy=False)
    return cv2.convertScaleAbs(samples, alpha=1 / LEVEL_RATIO).astype(np.uint8, copy=False)


def to_bits(samples: Samples, bits: Bits) -> Samples:
    """Return a picture in 8 or 16 bits."""
    if bits == 8:
        return to_8_bits(samples)
    if samples.dtype == np.uint16:
        return samples
    return samples.astype(np.uint16) * np.uint16(LEVEL_RATIO)


def scale_to_16_bits(samples: NDArray[np.uint16], bits: int) -> NDArray[np.uint16]:
    """Levels of 9 to 16 bits as 16-bit levels: the same share of white, within one level."""
    if bits >= 16:
        return samples
    # The upper bits are repeated in the lower ones, so that white stays white.
    return (samples << np.uint16(16 - bits)) | (samples >> np.uint16(2 * bits - 16))


def stretch_to_16_bits(samples: NDArray[np.uint16], white: int) -> NDArray[np.uint16]:
    """Levels up to any ``white`` as 16-bit levels: the same share of white, rounded."""
    shares = (np.arange(65536) * 65535 + white // 2) // white
    table = np.minimum(shares, 65535).astype(np.uint16)
    stretched = np.empty_like(samples)
    for row, levels in zip(stretched, samples, strict=True):  # numpy's indices have 64 bits
        row[...] = table[levels]
    return stretched


def to_float(samples: Samples) -> NDArray[np.float32]:
    """Levels of 8 or 16 bits to float32 in [0, 1]."""
    shares: NDArray[np.float32] = np.multiply(
        samples, np.float32(1 / max_level(samples)), dtype=np.float32
    )
    return shares


def from_float(shares: NDArray[np.floating[Any]], bits: Bits) -> Samples:
    """Numbers in [0, 1] to levels of 8 or 16 bits, rounded."""
    # Adding half a level and casting takes a third of the time of np.round.
    if bits == 16:
        return (shares * 65535 + np.float32(0.5)).astype(np.uint16)
    return (shares * 255 + np.float32(0.5)).astype(np.uint8)
