"""What a JPEG 2000 costs beside its pixels, by the heads in its codestream.

The decoder keeps some hundred bytes for each precinct and each tile, however small these are: a
file of 4 kB can take gigabytes. ISO/IEC 15444-1, annexes A and B.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cvunet.errors import ImageError

SIGNATURES = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
SOC, SIZ, COD, COC, SOT, SOD = 0xFF4F, 0xFF51, 0xFF52, 0xFF53, 0xFF90, 0xFF93
BOXES, SEGMENTS, TILE_PARTS = 4096, 1000, 10_000
TILES = 65_536  # times components
#: So many samples must share a precinct, on average; 16,384 are usual. And a picture may have some.
PRECINCT_SAMPLES, PRECINCTS = 256, 20_000


@dataclass(frozen=True, slots=True)
class Grid:
    """Sides of the picture and of its tiles, and how many components there are."""

    width: int
    height: int
    tile_width: int
    tile_height: int
    components: int

    @property
    def tiles(self) -> int:
        """How many there are."""
        return -(-self.width // self.tile_width) * -(-self.height // self.tile_height)


def check(stream: BinaryIO) -> None:
    """`ImageError` for a JPEG 2000 of tiny tiles or precincts; rewinds the file."""
    stream.seek(0)
    head = stream.read(12)
    try:
        if head.startswith(SIGNATURES):
            check_codestream(stream, start_of_codestream(stream))
    except (struct.error, IndexError, ArithmeticError):
        pass  # cut short, or nonsense: the decoder tells
    finally:
        stream.seek(0)


def start_of_codestream(stream: BinaryIO) -> int:
    """Return where the codestream begins in the file, in a box or without one."""
    stream.seek(0)
    if stream.read(2) == struct.pack(">H", SOC):
        return 0
    at = 0
    for _ in range(BOXES):
        stream.seek(at)
        size, name = struct.unpack(">I4s", stream.read(8))
        start = 8
        if size == 1:
            (size,) = struct.unpack(">Q", stream.read(8))
            start = 16
        if name == b"jp2c":
            return at + start
        if size < start:
            break
        at += size
    raise IndexError("no codestream")


def check_codestream(stream: BinaryIO, start: int) -> None:
    """How many tiles there are, and how many precincts at most, by any tile's rules."""
    grid: Grid | None = None
    for marker, content in segments(stream, start):
        if marker == SIZ:
            grid = read_grid(content)
            if grid.tiles * grid.components > TILES:
                raise ImageError(f"it is cut into {grid.tiles} tiles: save it anew")
        elif marker in (COD, COC) and grid is not None:
            sizes, levels = precinct_sizes(marker, content, grid)
            if sizes:
                check_precincts(grid, sizes, levels)


def read_grid(content: bytes) -> Grid:
    """Return the grid that a SIZ segment's content describes; `struct.error` if it is cut off."""
    width, height, left, top, tile_width, tile_height = struct.unpack_from(">6I", content, 2)
    (components,) = struct.unpack_from(">H", content, 34)
    return Grid(width - left, height - top, tile_width, tile_height, components)


def precinct_sizes(marker: int, content: bytes, grid: Grid) -> tuple[bytes, int]:
    """Powers of two by resolution, two in each byte, and how often the picture is halved.

    No powers where precincts are as large as can be.
    """
    rules = content[0] if marker == COD else content[1 if grid.components < 257 else 2]
    at = 5 if marker == COD else 2 if grid.components < 257 else 3
    levels = content[at]
    return (content[at + 5 : at + 6 + levels] if rules & 1 else b""), levels


def check_precincts(grid: Grid, sizes: bytes, levels: int) -> None:
    """`ImageError` if the precincts are too many for the picture."""
    count, width = 0, min(grid.tile_width, grid.width)
    height = min(grid.tile_height, grid.height)
    for resolution, powers in enumerate(sizes):
        times = max(levels - resolution, 0)
        across = halved(halved(width, times), powers & 15)
        count += across * halved(halved(height, times), powers >> 4)
    count *= grid.tiles * grid.components
    samples = grid.width * grid.height * grid.components
    if count > samples // PRECINCT_SAMPLES + PRECINCTS:
        raise ImageError(
            f"its pixels are stored in {count} precincts, which would take gigabytes: save it anew"
        )


def halved(length: int, times: int) -> int:
    """Return ``length`` halved ``times`` times, rounded up once at the end."""
    return -(-length >> times)


def segments(stream: BinaryIO, start: int) -> Iterator[tuple[int, bytes]]:
    """Markers and what they carry: of the main head, and of the head of each part of a tile."""
    at = start + 2  # behind SOC
    for _ in range(TILE_PARTS):
        tile_part_at, tile_part_bytes = at, 0
        for _ in range(SEGMENTS):
            stream.seek(at)
            marker, length = struct.unpack(">HH", stream.read(4))
            if marker == SOD:
                break
            content = stream.read(length - 2) if marker in (SIZ, COD, COC, SOT) else b""
            if marker == SOT:
                tile_part_at = at
                (tile_part_bytes,) = struct.unpack_from(">I", content, 2)
            else:
                yield marker, content
            at += 2 + length
        if tile_part_bytes < 12:  # the last one, up to the end
            return
        at = tile_part_at + tile_part_bytes
