"""TIFF files whose first picture is only a preview: the full one is read in its place.

Scanners, cameras and image servers write them. The file is shown to all decoders with another first
directory; nothing else changes in it.
"""

import io
import struct
from typing import BinaryIO

from cvunet.errors import ImageError
from cvunet.pictures import tiff_directories
from cvunet.pictures.tiff_directories import CHILDREN, Directory, Fields, Tree

#: A child has to have so many times the pixels of its parent to make that one a preview.
LARGER = 2
#: Said once for all pictures of a file, in the first directory: text, orientation, EXIF, GPS, XMP,
#: IPTC.
SHARED_TAGS = frozenset({270, 271, 272, 274, 305, 306, 315, 700, 33432, 33723, 34665, 34853})
REFUSAL = (
    "a TIFF whose first picture is only a preview, and whose full picture is of a kind that cannot"
    " be read: save it as RGB of 8 or 16 bits"
)


def skipped(stream: BinaryIO, warnings: list[str]) -> BinaryIO:
    """The file as it is, or with its full picture as the first one; at its beginning.

    `ImageError` if there is a full picture that nobody can read.
    """
    tree = tiff_directories.read(stream)
    if tree is None:
        return stream
    first = tree.chain[0]
    is_preview = first.is_part or any(is_larger(child, first) for child in tree.children[0])
    if not is_preview:
        return stream
    full = full_picture(tree)
    if full is None:
        warnings.append("the file calls its only picture a preview")
        return stream
    return io.BufferedReader(Redirected(stream, tree.fields, merged(full, first)))


def is_larger(child: Directory, first: Directory) -> bool:
    """So much that the first one can only be a preview of it."""
    return child.pixels > LARGER * first.pixels


def full_picture(tree: Tree) -> Directory | None:
    """The first one that is no preview itself; None if no picture is larger than the first one."""
    first = tree.chain[0]
    larger = [other for other in tree.others() if other.pixels > first.pixels]
    if not larger:
        return None
    readable = [other for other in larger if other.has_colours]
    if not readable:
        raise ImageError(REFUSAL)
    whole = [other for other in readable if not other.is_part]
    return whole[0] if whole else max(readable, key=lambda each: each.pixels)


def merged(full: Directory, first: Directory) -> Directory:
    """The full picture's directory, with what only the first one says of both."""
    shared = {tag: entry for tag, entry in first.entries.items() if tag in SHARED_TAGS}
    entries = {tag: entry for tag, entry in full.entries.items() if tag != CHILDREN}
    return Directory(shared | entries, full.values, full.next)


class Redirected(io.RawIOBase):
    """A file with a directory more at its end, to which its head leads."""

    def __init__(self, stream: BinaryIO, fields: Fields, directory: Directory) -> None:
        self.stream = stream
        size = stream.seek(0, io.SEEK_END)
        start = size + size % 2  # a directory begins at an even place
        self.end = bytes(start - size) + packed(fields, directory)
        self.file_bytes = size
        stream.seek(0)
        head = bytearray(stream.read(16))
        struct.pack_into(fields.offset, head, 8 if fields.is_big else 4, start)
        self.head = bytes(head)
        self.at = 0

    def readable(self) -> bool:
        """Whether it can be read: it always can."""
        return True

    def seekable(self) -> bool:
        """Whether its position can be changed: it always can."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, as files do; return it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.at}.get(whence, self.file_bytes + len(self.end))
        if start + offset < 0:
            raise ValueError("a place in front of the file")
        self.at = start + offset
        return self.at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read from the head, the file or the new end: as much as lies in one of them."""
        if self.at < len(self.head):
            piece = self.head[self.at :][: len(buffer)]
        elif self.at < self.file_bytes:
            self.stream.seek(self.at)
            piece = self.stream.read(min(len(buffer), self.file_bytes - self.at))
        else:
            piece = self.end[self.at - self.file_bytes :][: len(buffer)]
        buffer[: len(piece)] = piece
        self.at += len(piece)
        return len(piece)


def packed(fields: Fields, directory: Directory) -> bytes:
    """A directory as it lies in a file; its values stay where they are."""
    entries = [entry for _, entry in sorted(directory.entries.items())]
    count = struct.pack(fields.count, len(entries))
    return count + b"".join(entries) + struct.pack(fields.offset, directory.next)
