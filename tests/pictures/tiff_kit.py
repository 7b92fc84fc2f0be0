"""TIFF files of several pictures, built by hand: chains, children, and the heads of raw files."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = int | tuple[int, ...] | bytes
FULL, REDUCED, MASK = 0, 1, 4
CFA, LINEAR_RAW, RGB = 32803, 34892, 2


@dataclass
class Page:
    """One picture HxWx3, with more tags or others, and its children."""

    pixels: NDArray[np.uint8]
    tags: Mapping[int, Any] = field(default_factory=dict)  # Any: `Values`
    children: "list[Page]" = field(default_factory=list)

    def fields(self, pixels_at: int, children_at: list[int]) -> dict[int, Values]:
        """All tags."""
        height, width = self.pixels.shape[:2]
        own: dict[int, Values] = {256: width, 257: height, 258: (8, 8, 8), 259: 1, 262: RGB}
        own |= {273: pixels_at, 277: 3, 278: height, 279: self.pixels.nbytes, 284: 1}
        own |= {330: tuple(children_at)} if children_at else {}
        return own | dict(self.tags)


def flat(width: int, height: int, level: int) -> NDArray[np.uint8]:
    """A picture that is known again by its level; its corners differ."""
    pixels = np.full((height, width, 3), level, np.uint8)
    pixels[0, 0], pixels[-1, -1] = 0, 255
    return pixels


def tiff_of(*pages: Page, order: str = "<", is_big: bool = False) -> bytes:
    """The file; pages hang in a chain."""
    data = bytearray((b"II" if order == "<" else b"MM") + struct.pack(order + "H", 42 + is_big))
    data += struct.pack(order + "HHQ", 8, 0, 0) if is_big else bytes(4)
    places = [add(data, page, order, is_big=is_big) for page in pages]
    offset = order + ("Q" if is_big else "I")
    struct.pack_into(offset, data, 8 if is_big else 4, places[0][0])
    for (_, link), (start, _) in pairwise(places):
        struct.pack_into(offset, data, link, start)
    return bytes(data)


def add(data: bytearray, page: Page, order: str, *, is_big: bool) -> tuple[int, int]:
    """Where the directory begins, and where it says what follows."""
    children = [add(data, child, order, is_big=is_big)[0] for child in page.children]
    pixels_at = len(data)
    data += page.pixels.tobytes()
    entries = b""
    number, room = ("Q", 8) if is_big else ("I", 4)
    for tag, value in sorted(page.fields(pixels_at, children).items()):
        values = (value,) if isinstance(value, int) else value
        kind, packed = (2, bytes(value)) if isinstance(value, bytes) else (4, b"")
        packed = packed or struct.pack(f"{order}{len(values)}I", *values)
        if len(packed) > room:
            place = len(data)
            data += packed
            packed = struct.pack(order + number, place)
        entries += struct.pack(f"{order}HH{number}", tag, kind, len(values)) + packed.ljust(
            room, b"\0"
        )
    start = len(data) + len(data) % 2
    data += bytes(start - len(data))
    size = 20 if is_big else 12
    data += struct.pack(order + ("Q" if is_big else "H"), len(entries) // size) + entries
    data += bytes(room)
    return start, len(data) - room
