"""Samples of 8 or of 16 bits, and the ways between them.

A 16 bit level is 257 times the 8 bit one: both name the same share of white.
"""

from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
#: Of bytes, or of uint16: unions of arrays are more than numpy's and OpenCV's types can follow.
Samples: TypeAlias = NDArray[np.unsignedinteger[Any]]
Bits = Literal[8, 16]

STEP = 257


def bits_of(samples: Samples) -> Bits:
    """8 or 16."""
    return 16 if samples.dtype == np.uint16 else 8


def white(samples: Samples) -> int:
    """The level that means white, or opaque."""
    return 65535 if samples.dtype == np.uint16 else 255


def to_bytes(samples: Samples) -> Bytes:
    """The same picture in 8 bits, rounded; bytes come back as they are."""
    if samples.dtype == np.uint8:
        return samples.astype(np.uint8, copy=False)
    return cv2.convertScaleAbs(samples, alpha=1 / STEP).astype(np.uint8, copy=False)


def to_bits(samples: Samples, bits: Bits) -> Samples:
    """The same picture in 8 or 16 bits."""
    if bits == 8:
        return to_bytes(samples)
    if samples.dtype == np.uint16:
        return samples
    return samples.astype(np.uint16) * np.uint16(STEP)


def widened(samples: NDArray[np.uint16], bits: int) -> NDArray[np.uint16]:
    """Levels of 9 to 16 bits as those of 16: the same share of white, by less than a level."""
    if bits >= 16:
        return samples
    # The bits again below themselves, so that white stays white.
    return (samples << np.uint16(16 - bits)) | (samples >> np.uint16(2 * bits - 16))


def to_float(samples: Samples) -> NDArray[np.float32]:
    """Levels of 8 or 16 bits to shares of white: float32 in [0, 1]."""
    shares: NDArray[np.float32] = np.multiply(
        samples, np.float32(1 / white(samples)), dtype=np.float32
    )
    return shares


def quantised(shares: NDArray[np.floating[Any]], bits: Bits) -> Samples:
    """Shares of white in [0, 1] to levels, rounded."""
    # Half a level and a cast: a third of np.round's time.
    if bits == 16:
        return (shares * 65535 + np.float32(0.5)).astype(np.uint16)
    return (shares * 255 + np.float32(0.5)).astype(np.uint8)
