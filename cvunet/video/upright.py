"""Turns frames upright, as their display matrix says. In numpy."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvunet.video import av_library

MATRIX = struct.Struct("=9i")
PNG = "png"
"""The codec whose side data may not be looked at (`av_library.side_data`)."""
ONE = 1 << 16
"""1 as a fixed-point number of the matrix."""


@dataclass(frozen=True, slots=True)
class Turn:
    """First transposed, then mirrored: all eight ways in which a rectangle lies on another."""

    is_transposed: bool = False
    is_mirrored_across: bool = False
    """Left becomes right."""
    is_mirrored_down: bool = False
    """Top becomes bottom."""
    is_exact: bool = True
    """False if the matrix also asks for an angle between; the nearest of the eight is taken."""

    def apply(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """The upright frame of stored ``pixels`` HxW or HxWxC."""
        if self.is_transposed:
            pixels = pixels.swapaxes(0, 1)
        if self.is_mirrored_across:
            pixels = pixels[:, ::-1]
        if self.is_mirrored_down:
            pixels = pixels[::-1]
        return np.ascontiguousarray(pixels)


UPRIGHT = Turn()


def turn_of(matrix: Sequence[int]) -> Turn:
    """Return the turn by nine numbers a b u c d v x y w: (x, y) is at (a x + c y, b x + d y)."""
    a, b, _, c, d, *_ = matrix
    if not (a or b or c or d):
        return UPRIGHT
    if abs(a) + abs(d) >= abs(b) + abs(c):
        is_exact = b == c == 0
        return Turn(False, a < 0, d < 0, is_exact)
    return Turn(True, c < 0, b < 0, a == d == 0)


def turn_by(degrees: int) -> Turn:
    """By an angle, counter-clockwise."""
    quarters = round(degrees / 90) % 4
    is_exact = degrees % 90 == 0
    return Turn(quarters % 2 == 1, quarters in (2, 3), quarters in (1, 2), is_exact)


def display_turn(picture: Any, codec: str) -> Turn:
    """How libav's frame (`Any`) of this codec becomes upright, by the matrix beside it.

    Where PyAV cannot give the matrix, by its angle alone: nothing is mirrored then.
    """
    if codec == PNG:
        return turn_by(picture.rotation)
    try:
        for data in av_library.side_data(picture):
            if data.type.name == "DISPLAYMATRIX" and len(bytes(data)) >= MATRIX.size:
                return turn_of(MATRIX.unpack_from(bytes(data)))
    except ValueError:
        return turn_by(picture.rotation)
    return UPRIGHT
