"""The directories of a TIFF, read by hand: which pictures the file holds, and how they belong.

TIFF 6.0, section 2; TIFF Technical Note 1 (trees of directories); BigTIFF. Nothing is unpacked, so
that no file costs more than a few reads.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cvunet.pictures.bombs import MAX_DIRECTORY_FIELDS, TIFF_SIGNATURES, TYPE_BYTES

KIND, OLD_KIND, WIDTH, HEIGHT, COMPRESSION, PHOTOMETRIC = 254, 255, 256, 257, 259, 262
CHILDREN, DNG_VERSION, CR2_SLICES = 330, 50706, 50752
WANTED = frozenset({KIND, OLD_KIND, WIDTH, HEIGHT, COMPRESSION, PHOTOMETRIC})
WANTED |= {CHILDREN, DNG_VERSION, CR2_SLICES}
#: A whole-slide TIFF has a dozen levels, a raw file up to six pictures. Pages behind these do not
#: matter: of a TIFF with many pages the first one is used.
DIRECTORIES, CHILDREN_EACH = 64, 16
NUMBERS = {1: "B", 3: "H", 4: "L", 13: "L", 16: "Q", 18: "Q"}
REDUCED, MASK, OLD_REDUCED = 1, 4, 2
COLOURS = frozenset({0, 1, 2, 3, 5, 6, 8})  # grey, RGB, palette, CMYK, YCbCr, Lab
SENSORS = frozenset({32803, 34892})  # a mosaic of colour filters; linear raw (DNG)


@dataclass(frozen=True, slots=True)
class Fields:
    """How numbers lie in a file: byte order, and whether it is a BigTIFF."""

    order: str
    is_big: bool

    @property
    def offset(self) -> str:
        """The format of an offset."""
        return self.order + ("Q" if self.is_big else "L")

    @property
    def count(self) -> str:
        """The format of the number of entries."""
        return self.order + ("Q" if self.is_big else "H")

    @property
    def entry_bytes(self) -> int:
        """Return how many bytes one entry has."""
        return 20 if self.is_big else 12


@dataclass(frozen=True, slots=True)
class Directory:
    """One picture of the file, by what its directory says."""

    entries: dict[int, bytes]
    """All of them as they lie in the file, by tag."""
    values: dict[int, tuple[int, ...]]
    """Of the tags that are wanted here."""
    next: int
    """Where the directory behind it begins; 0 if it is the last one."""

    def value(self, tag: int, default: int = 0) -> int:
        """A tag's first number."""
        return next(iter(self.values.get(tag, ())), default)

    @property
    def pixels(self) -> int:
        """Return width times height."""
        return self.value(WIDTH) * self.value(HEIGHT)

    @property
    def is_part(self) -> bool:
        """It calls itself a smaller copy of another picture, or a mask."""
        is_reduced = self.value(OLD_KIND) == OLD_REDUCED and KIND not in self.values
        return is_reduced or bool(self.value(KIND) & (REDUCED | MASK))

    @property
    def is_sensor(self) -> bool:
        """Its pixels are those of a camera's sensor."""
        return self.value(PHOTOMETRIC) in SENSORS

    @property
    def has_colours(self) -> bool:
        """Its pixels are what a person sees."""
        return self.value(PHOTOMETRIC, -1) in COLOURS


@dataclass(frozen=True, slots=True)
class Tree:
    """The first directories of a file: those in its chain, and the children of each."""

    fields: Fields
    chain: list[Directory]
    children: list[list[Directory]]

    def others(self) -> Iterator[Directory]:
        """Yield all but the first, each followed by its children; those of the first come first."""
        for number, directory in enumerate(self.chain):
            if number:
                yield directory
            yield from self.children[number]


def read(stream: BinaryIO) -> Tree | None:
    """What a TIFF holds, as far as it can be read; None for other files. Rewinds the file."""
    stream.seek(0)
    head = stream.read(16)
    try:
        if head[:4] not in TIFF_SIGNATURES or len(head) < 16:
            return None
        fields = Fields(TIFF_SIGNATURES[head[:4]], is_big=b"+" in head[:4])
        (offset,) = struct.unpack_from(fields.offset, head, 8 if fields.is_big else 4)
        chain = list(follow(stream, offset, fields))
        children = [
            [
                child
                for place in directory.values.get(CHILDREN, ())[:CHILDREN_EACH]
                if (child := directory_at(stream, place, fields))
            ]
            for directory in chain[:CHILDREN_EACH]
        ]
        children += [[] for _ in chain[CHILDREN_EACH:]]
        return Tree(fields, chain, children) if chain else None
    finally:
        stream.seek(0)


def follow(stream: BinaryIO, offset: int, fields: Fields) -> Iterator[Directory]:
    """The chain that begins there, until it ends, turns back, or cannot be read."""
    seen: set[int] = set()
    while offset and offset not in seen and len(seen) < DIRECTORIES:
        seen.add(offset)
        directory = directory_at(stream, offset, fields)
        if directory is None:
            return
        yield directory
        offset = directory.next


def directory_at(stream: BinaryIO, offset: int, fields: Fields) -> Directory | None:
    """None if there is none that can be read."""
    try:
        stream.seek(offset)
        (count,) = struct.unpack(fields.count, stream.read(struct.calcsize(fields.count)))
        if count > MAX_DIRECTORY_FIELDS:
            return None
        block = stream.read(count * fields.entry_bytes)
        (behind,) = struct.unpack(fields.offset, stream.read(struct.calcsize(fields.offset)))
        starts = range(0, len(block), fields.entry_bytes)
        entries = {
            struct.unpack_from(fields.order + "H", block, at)[0]: block[
                at : at + fields.entry_bytes
            ]
            for at in starts
        }
        values = {tag: numbers(stream, entries[tag], fields) for tag in WANTED & entries.keys()}
    except (struct.error, OverflowError, ValueError):  # cut short, or an offset beyond all files
        return None
    return Directory(entries, values, behind)


def numbers(stream: BinaryIO, entry: bytes, fields: Fields) -> tuple[int, ...]:
    """An entry's whole numbers, a few at most; empty for values of other types."""
    kind, count = struct.unpack_from(fields.order + ("HQ" if fields.is_big else "HL"), entry, 2)
    if kind not in NUMBERS:
        return ()
    room = 8 if fields.is_big else 4
    wanted = min(count, CHILDREN_EACH)
    if count * TYPE_BYTES.get(kind, 8) <= room:
        return struct.unpack_from(
            f"{fields.order}{wanted}{NUMBERS[kind]}", entry, len(entry) - room
        )
    (place,) = struct.unpack_from(fields.offset, entry, len(entry) - room)
    stream.seek(place)
    size = struct.calcsize(f"{fields.order}{wanted}{NUMBERS[kind]}")
    return struct.unpack(f"{fields.order}{wanted}{NUMBERS[kind]}", stream.read(size))
