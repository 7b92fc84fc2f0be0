"""The chunks of animated PNG, WebP and GIF files: a second frame, and how often it is shown."""

import struct
from collections.abc import Iterator

from cvunet.video.streams import Readable

MOST_BYTES = 1 << 25
"""Read of a GIF at most: beyond a first frame of so many bytes nothing is looked for."""
MOST_BLOCKS = 150_000
"""Likewise: these are more than `MOST_BYTES` in blocks of the usual 255 bytes."""
WHOLE_GIF_BYTES = 1 << 30
"""Of a GIF whose end is looked for."""
MOST_CHUNKS = 10_000
MOST_WEBP_CHUNKS = 2_000_000
MOST_APNG_CHUNKS = 2_000_000
MOST_PROFILE_BYTES = 1 << 22
"""Of a colour profile; those of cameras and printers have less than one megabyte."""
FRAME_CONTROL = struct.Struct(">5I2H2B")
"""fcTL: number, width, height, left, top, delay by its divisor, dispose, blend."""
CLEAR_AFTER, RESTORE_AFTER = 1, 2
"""How it disposes of a frame."""
OVERWRITE, BLEND = 0, 1
"""How it lays a frame onto the canvas."""
ANIMATION, HAS_ALPHA = 0x02, 0x10
"""Flags of the chunk VP8X."""


def png_chunks(stream: Readable, most: int = MOST_CHUNKS) -> Iterator[tuple[bytes, int, int]]:
    """Name, offset and length of the content of each chunk of a PNG, up to so many."""
    at = 8
    for _ in range(most):
        stream.seek(at)
        head = stream.read(8)
        if len(head) < 8:
            return
        length, name = struct.unpack(">I4s", head)
        yield name, at + 8, length
        at += 12 + length


def png_control(stream: Readable) -> tuple[int, int]:
    """Frames and loops of an animated PNG, as acTL says before IDAT; (1, 1) if it has none."""
    for name, at, length in png_chunks(stream):
        if name == b"acTL" and length >= 8:
            stream.seek(at)
            content = stream.read(8)
            if len(content) < 8:
                break
            return struct.unpack(">II", content)
        if name in (b"IDAT", b"IEND"):
            break
    return 1, 1


def png_frames(stream: Readable) -> int:
    """How many frames a PNG says to have; 1 if it is not animated."""
    return png_control(stream)[0]


def has_png_end(stream: Readable) -> bool:
    """Whether its chunks lead to an end, although something may lie behind it."""
    return any(name == b"IEND" for name, _, _ in png_chunks(stream, MOST_APNG_CHUNKS))


def webp_chunks(stream: Readable) -> Iterator[tuple[bytes, int, int]]:
    """Name, offset and length of the content of each chunk of a WebP."""
    at = 12
    for _ in range(MOST_WEBP_CHUNKS):
        stream.seek(at)
        head = stream.read(8)
        if len(head) < 8 or not head[:4].isascii() or head[:4] == bytes(4):
            return
        name, length = struct.unpack("<4sI", head)
        yield name, at + 8, length
        at += 8 + length + length % 2


def has_two_webp_frames(stream: Readable) -> bool:
    """Whether it is animated, and has a second frame."""
    frames = 0
    for number, (name, at, _) in enumerate(webp_chunks(stream)):
        stream.seek(at)
        if number == 0 and (name != b"VP8X" or not (stream.read(1) or b"\0")[0] & ANIMATION):
            return False
        frames += name == b"ANMF"
        if frames == 2 or number == MOST_CHUNKS:
            break
    return frames == 2


def webp_loops(stream: Readable) -> int:
    """How often it is shown, by the chunk ANIM; 0 for ever."""
    for number, (name, at, length) in enumerate(webp_chunks(stream)):
        if name == b"ANIM" and length >= 6:
            stream.seek(at + 4)
            return int.from_bytes(stream.read(2), "little")
        if name == b"ANMF" or number == MOST_CHUNKS:
            break
    return 1


def webp_profile(stream: Readable) -> bytes | None:
    """Its ICC profile, which lies before the first frame."""
    for number, (name, at, length) in enumerate(webp_chunks(stream)):
        if name == b"ICCP" and length <= MOST_PROFILE_BYTES:
            stream.seek(at)
            return stream.read(length)
        if name == b"ANMF" or number == MOST_CHUNKS:
            break
    return None


def gif_blocks(
    stream: Readable, *, most_bytes: int = MOST_BYTES, most: int = MOST_BLOCKS
) -> Iterator[tuple[int, bytes]]:
    """The blocks of a GIF: 0x2C and nothing for a frame, 0x21 and the first bytes of an extension.

    Ends after the trailer, 0x3B, at damage, and after so many bytes or blocks.
    """
    stream.seek(0)
    head = stream.read(13)
    if len(head) < 13:
        return
    stream.seek(13 + table_bytes(head[10]))
    left = most
    while stream.tell() < most_bytes and left > 0:
        kind = stream.read(1)
        if kind == b"\x2c":
            place = stream.read(9)
            if len(place) < 9:
                return
            stream.seek(table_bytes(place[8]) + 1, 1)
            yield 0x2C, b""
            left -= skip_sub_blocks(stream, left, most_bytes)[1]
        elif kind == b"\x21":
            label = stream.read(1)
            content, count = skip_sub_blocks(stream, left, most_bytes)
            left -= count
            yield 0x21, label + content
        else:
            if kind == b"\x3b":
                yield 0x3B, b""
            return


def table_bytes(flags: int) -> int:
    """Return how many bytes a colour table has, by the flags before it."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def skip_sub_blocks(stream: Readable, most: int, most_bytes: int) -> tuple[bytes, int]:
    """Go behind the block without content that ends them; return the first two, and their count.

    Not further than ``most`` blocks, and ``most_bytes`` of the file.
    """
    kept: list[bytes] = []
    count = 1
    while (size := (stream.read(1) or b"\0")[0]) and stream.tell() < most_bytes and count < most:
        count += 1
        if len(kept) < 2:
            kept.append(stream.read(size))
        else:
            stream.seek(size, 1)
    return b"".join(kept), count


def has_two_gif_frames(stream: Readable) -> bool:
    """Whether a second frame begins."""
    frames = 0
    for kind, _ in gif_blocks(stream):
        frames += kind == 0x2C
        if frames == 2:
            return True
    return False


def has_gif_end(stream: Readable) -> bool:
    """Whether its blocks lead to a trailer, although something may lie behind it."""
    blocks = gif_blocks(stream, most_bytes=WHOLE_GIF_BYTES, most=WHOLE_GIF_BYTES // 256)
    return any(kind == 0x3B for kind, _ in blocks)


def gif_loops(stream: Readable) -> int:
    """How often it is shown, by Netscape's extension; 0 for ever, 1 without the extension."""
    for kind, content in gif_blocks(stream):
        if kind == 0x2C:
            break
        if content.startswith((b"\xffNETSCAPE2.0\x01", b"\xffANIMEXTS1.0\x01")):
            times = int.from_bytes(content[13:15], "little")
            return times + 1 if times else 0  # it says how often it is shown again
    return 1
