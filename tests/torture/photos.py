"""Small photos, every one of its own size and content, and things that are none."""

import itertools
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

LONG_AGO = 1_000_000_000.0
SMALLEST_PX = 24
SIZES = 64


class Stock:
    """A folder outside of all hot folders from which pictures are taken, each one once."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.numbers = itertools.count()

    def photo(self) -> Path:
        """A new picture; no other has its size."""
        number = next(self.numbers)
        width, height = SMALLEST_PX + number % SIZES, SMALLEST_PX + number // SIZES
        path = self.folder / f"photo{number}.png"
        picture = Image.new("RGB", (width, height), (number % 251, 90, 200))
        picture.paste((250, 240, number % 241), (width // 4, height // 4, width // 2, height // 2))
        picture.save(path)
        return path

    def photos(self, count: int) -> list[Path]:
        """Several."""
        return [self.photo() for _ in range(count)]

    def truncated(self) -> Path:
        """Half a photo, and old enough to be known as whole."""
        path = self.photo()
        data = path.read_bytes()
        return self.old(path.name, data[: len(data) * 2 // 3])

    def no_picture(self) -> Path:
        """Text."""
        number = next(self.numbers)
        return self.old(f"text{number}.jpg", f"this is no picture {number}".encode())

    def bomb(self) -> Path:
        """A few bytes that declare 60,000 x 60,000 pixels."""
        head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
        data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0"))
        return self.old("bomb.png", data + chunk(b"IEND", b""))

    def old(self, name: str, data: bytes) -> Path:
        """A file that was last changed long ago."""
        path = self.folder / name
        path.write_bytes(data)
        os.utime(path, (LONG_AGO, LONG_AGO))
        return path


def chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk."""
    checked = kind + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))


def names(prefix: str) -> Iterator[str]:
    """Endless file names."""
    return (f"{prefix}{number:05}.png" for number in itertools.count())
