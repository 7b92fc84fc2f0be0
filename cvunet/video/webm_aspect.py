"""Writes the shape of pixels into a finished WebM: PyAV cannot tell libavformat's muxer.

The head of the file is written anew, in the room that the muxer leaves behind its first element
for an index: nothing else moves.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

from cvunet.video import ebml, endings

#: Copied sound may describe itself at length, such as Vorbis with a cover.
MOST_HEAD_BYTES = 1 << 22
ELEMENT_HEAD_BYTES = 12
SEEK_HEAD, INFO, TRACKS = b"\x11\x4d\x9b\x74", b"\x15\x49\xa9\x66", b"\x16\x54\xae\x6b"
VOID, SEEK, SEEK_ID, SEEK_POSITION = b"\xec", b"\x4d\xbb", b"\x53\xab", b"\x53\xac"
TRACK, VIDEO = b"\xae", b"\xe0"
DISPLAY_WIDTH, DISPLAY_HEIGHT = b"\x54\xb0", b"\x54\xba"
SIZE_BYTES = 8


@dataclass(frozen=True, slots=True)
class Element:
    """One element of EBML."""

    name: bytes
    content: bytes
    length: int
    """Of all its bytes in the file."""


def set_aspect(out: BinaryIO, *, width: int, height: int, aspect: Fraction) -> bool:
    """Say how wide a frame of ``width`` times ``height`` pixels is shown. ``out`` can seek.

    False if the head is too long to be written anew; then nothing is changed.
    """
    _, start = endings.segment(out)
    head = until_tracks(out, start)
    if head is not None:
        parts = list(elements(head))
        shown = (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
        tracks = as_bytes(TRACKS, with_display(parts[-1].content, shown))
        moved = len(tracks) - parts[-1].length
        new = b"".join(rebuilt(parts[:-1], moved)) + tracks
        assert len(new) == len(head), "the muxer leaves room behind its first element"
        out.seek(start)
        out.write(new)
    out.seek(0, 2)
    return head is not None


def elements(content: bytes) -> Iterator[Element]:
    """The elements of a part, in order."""
    at = 0
    while at < len(content):
        name = content[at : at + ebml.id_length(content[at])]
        size, start = ebml.read_size(content, at + len(name))
        yield Element(name, content[start : start + size], start + size - at)
        at = start + size


def until_tracks(out: BinaryIO, start: int) -> bytes | None:
    """The first elements of a segment, to the end of the one that describes its tracks.

    None if they are too long.
    """
    at, name = start, b""
    while name != TRACKS and at - start <= MOST_HEAD_BYTES:
        out.seek(at)
        first = out.read(ELEMENT_HEAD_BYTES)
        name = first[: ebml.id_length(first[0])]
        length, content_at = ebml.read_size(first, len(name))
        at += content_at + length
    if at - start > MOST_HEAD_BYTES:
        return None
    out.seek(start)
    return out.read(at - start)


def rebuilt(parts: list[Element], moved: int) -> Iterator[bytes]:
    """The elements before the tracks: what lies behind the room begins ``moved`` bytes earlier."""
    room = next(one for one in parts if one.name == VOID)
    for one in parts:
        if one is room:
            yield void(one.length - moved)
        elif one.name == SEEK_HEAD:
            entries = (
                as_bytes(SEEK, moved_entry(entry.content, moved)) for entry in elements(one.content)
            )
            yield exactly(SEEK_HEAD, b"".join(entries), one.length)
        else:
            yield exactly(one.name, one.content, one.length)


def moved_entry(entry: bytes, moved: int) -> bytes:
    """An entry of the index; those of what has moved have another position."""
    fields = list(elements(entry))
    target = next(one.content for one in fields if one.name == SEEK_ID)
    made = []
    for one in fields:
        content = one.content
        if one.name == SEEK_POSITION and target in (INFO, TRACKS):
            content = (int.from_bytes(content, "big") - moved).to_bytes(len(content), "big")
        made.append(exactly(one.name, content, one.length))
    return b"".join(made)


def with_display(tracks: bytes, shown: tuple[int, int]) -> bytes:
    """The content of the tracks, in which the video says how large it is shown."""
    made = []
    for track in elements(tracks):
        fields = []
        for one in elements(track.content):
            content = one.content
            if one.name == VIDEO:
                for name, side in zip((DISPLAY_WIDTH, DISPLAY_HEIGHT), shown, strict=True):
                    content += as_bytes(name, side.to_bytes(4, "big"))
            fields.append(as_bytes(one.name, content))
        made.append(as_bytes(track.name, b"".join(fields)))
    return b"".join(made)


def as_bytes(name: bytes, content: bytes) -> bytes:
    """An element, with its size in as few bytes as it needs."""
    length = next(n for n in range(1, SIZE_BYTES + 1) if len(content) < (1 << 7 * n) - 1)
    return name + ((1 << 7 * length) | len(content)).to_bytes(length, "big") + content


def exactly(name: bytes, content: bytes, length: int) -> bytes:
    """An element of so many bytes in all: its size takes what is left."""
    size_bytes = length - len(name) - len(content)
    return name + ((1 << 7 * size_bytes) | len(content)).to_bytes(size_bytes, "big") + content


def void(length: int) -> bytes:
    """Room of so many bytes, at least 2."""
    size_bytes = 1 if length < 128 else SIZE_BYTES
    return exactly(VOID, bytes(length - 1 - size_bytes), length)
