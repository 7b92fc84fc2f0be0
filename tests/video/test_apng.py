"""Animated PNGs of every kind: each frame as the specification composes it."""

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cvunet.errors import ClipDamagedError, ImageError
from cvunet.pictures import png, signatures
from tests.video.clips_kit import clip

pytestmark = pytest.mark.video

Pixels = NDArray[Any]
PALETTE = bytes((255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9))
SEEN = bytes((0, 255, 255, 255))
"""Of the palette: its first colour is transparent."""
LEFT, TOP = 5, 3
GREY, RGB, INDEXED, RGBA = 0, 2, 3, 6


def packed(pixels: Pixels, bits: int) -> bytes:
    """Rows as a PNG has them, without a filter."""
    rows = pixels.reshape(len(pixels), -1)
    if bits == 16:
        return b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows)
    shifts = np.arange(bits - 1, -1, -1)
    return b"".join(
        b"\0" + np.packbits((row[:, None] >> shifts & 1).astype(np.uint8)).tobytes() for row in rows
    )


def apng(
    frames: Sequence[Pixels],
    bits: int,
    colour: int,
    *,
    ways: tuple[int, int] = (0, 0),
    chunks: bytes = b"",
    delays: Sequence[tuple[int, int]] = ((1, 10),),
    step: int = 1 << 20,
) -> bytes:
    """The first frame fills the canvas, the others are parts; ``ways``: dispose and blend.

    ``step``: bytes of a chunk.
    """
    height, width = frames[0].shape[:2]
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    out = signatures.PNG + png.chunk(b"IHDR", head)
    out += png.chunk(b"acTL", struct.pack(">II", len(frames), 0)) + chunks
    sequence = 0
    for number, frame in enumerate(frames):
        place = (frame.shape[1], frame.shape[0], LEFT * (number > 0), TOP * (number > 0))
        delay = delays[number % len(delays)]
        out += png.chunk(b"fcTL", struct.pack(">5I2H2B", sequence, *place, *delay, *ways))
        sequence += 1
        data = zlib.compress(packed(frame, bits))
        for at in range(0, len(data), step):
            part = data[at : at + step]
            if number == 0:
                out += png.chunk(b"IDAT", part)
                continue
            out += png.chunk(b"fdAT", struct.pack(">I", sequence) + part)
            sequence += 1
    return out + png.chunk(b"IEND", b"")


def composed(frames: Sequence[Pixels], dispose: int, blend: int) -> list[Pixels]:
    """What is shown, of RGBA frames whose pixels are opaque or transparent."""
    canvas, shown = np.zeros_like(frames[0]), []
    for number, frame in enumerate(frames):
        before, (left, top) = canvas.copy(), (LEFT, TOP) if number else (0, 0)
        place = canvas[top : top + frame.shape[0], left : left + frame.shape[1]]
        is_laid = (frame[..., 3:] > 0) | (blend == 0)
        place[...] = np.where(is_laid, frame, place)
        shown.append(canvas.copy())
        if dispose == 1 or (dispose == 2 and number == 0):
            place[...] = 0
        elif dispose == 2:
            canvas = before
    return shown


def is_shown(file: bytes, wanted: Sequence[Pixels]) -> bool:
    """Whether all frames have these pixels RGBA; hidden colours do not count."""
    found = []
    for frame in clip(file).frames():
        assert frame.alpha is not None
        found.append(np.dstack([frame.rgb, frame.alpha]))
    for one, other in zip(found, wanted, strict=True):
        is_seen = other[..., 3] > 0
        if not (np.array_equal(one[..., 3], other[..., 3]) and (one == other)[is_seen].all()):
            return False
    return True


def numbers(bits: int) -> list[Pixels]:
    """Frames of numbers: a whole one of 23x17 and three parts of 11x7."""
    random = np.random.default_rng(bits)
    sizes = ((17, 23), (7, 11), (7, 11), (7, 11))
    return [random.integers(0, min(4, 1 << bits), size, dtype=np.uint8) for size in sizes]


@pytest.mark.parametrize("blend", [0, 1])
@pytest.mark.parametrize("dispose", [0, 1, 2])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_parts_of_a_palette(bits: int, dispose: int, blend: int):
    """Several pixels lie in a byte; the parts begin in the middle of one."""
    frames, colours = numbers(bits), min(4, 1 << bits)
    chunks = png.chunk(b"PLTE", PALETTE[: 3 * colours]) + png.chunk(b"tRNS", SEEN[:colours])
    table = np.array([(*PALETTE[3 * k : 3 * k + 3], SEEN[k]) for k in range(4)], np.uint8)

    file = apng(frames, bits, INDEXED, ways=(dispose, blend), chunks=chunks)

    assert is_shown(file, composed([table[frame] for frame in frames], dispose, blend))


@pytest.mark.parametrize("has_hole", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_greys(bits: int, has_hole: bool):
    """A level may mean that nothing is there."""
    frames = numbers(bits)
    top = 65_535 if bits == 16 else 255
    kind = np.uint16 if bits == 16 else np.uint8
    wanted = []
    for frame in frames:
        grey = (frame.astype(int) * top // ((1 << bits) - 1)).astype(kind)
        alpha = np.where(has_hole & (frame == 1), 0, top).astype(kind)
        wanted.append(np.dstack([grey, grey, grey, alpha]))
    chunks = png.chunk(b"tRNS", b"\0\1") if has_hole else b""

    assert is_shown(apng(frames, bits, GREY, chunks=chunks), composed(wanted, 0, 0))


@pytest.mark.parametrize("blend", [0, 1])
@pytest.mark.parametrize("bits", [8, 16])
def test_deep_frames_are_blended(bits: int, blend: int):
    """All 16 bits are kept."""
    kind = np.uint16 if bits == 16 else np.uint8
    frames = []
    for frame in numbers(8):
        alpha = np.where(frame > 1, (1 << bits) - 1, 0)
        frames.append(np.dstack([frame * 3, frame * 5 + 1, frame, alpha]).astype(kind))

    file = apng(frames, bits, RGBA, ways=(0, blend))

    assert clip(file).facts.bits == bits
    assert is_shown(file, composed(frames, 0, blend))


def test_half_transparent_pixels_are_laid_over_others():
    """Half of blue over red is violet; over nothing it stays half of blue."""
    base = np.zeros((17, 23, 4), np.uint8)
    base[:, :8] = (255, 0, 0, 255)
    part = np.full((7, 11, 4), (0, 0, 255, 128), np.uint8)

    frames = list(clip(apng([base, part], 8, RGBA, ways=(0, 1))).frames())

    assert frames[1].alpha is not None
    assert (frames[1].rgb[TOP, 7].tolist(), frames[1].alpha[TOP, 7]) == ([127, 0, 128], 255)
    assert (frames[1].rgb[TOP, 9].tolist(), frames[1].alpha[TOP, 9]) == ([0, 0, 255], 128)


def test_delays_are_those_of_browsers():
    """Exact fractions; less than 11 ms is a tenth of a second, and a divisor of 0 means 100."""
    delays = [(1, 24), (1, 30), (0, 10), (10, 1000), (25, 0)]
    frames = [np.zeros((17, 23), np.uint8), *[np.zeros((7, 11), np.uint8)] * 4]

    reader = clip(apng(frames, 8, GREY, delays=delays))
    shown = [frame.duration * reader.facts.time_base for frame in reader.frames()]

    assert [float(one) for one in shown] == pytest.approx([1 / 24, 1 / 30, 0.1, 0.1, 0.25])


def test_frames_of_many_chunks():
    """Some encoders write a chunk for each few bytes: a long animation has more than 10,000."""
    random, sides = np.random.default_rng(0), [60, *[50] * 39]
    frames = [random.integers(0, 255, (side, side), np.uint8) for side in sides]

    assert len(list(clip(apng(frames, 8, GREY, step=8)).frames())) == 40


def test_picture_for_other_programs_is_left_out():
    """It lies before the first fcTL, and is no frame."""
    frames = [np.full(size, level, np.uint8) for size, level in (((17, 23), 10), ((7, 11), 20))]
    file = apng(frames, 8, GREY)
    at = file.index(b"fcTL") - 4
    other = png.chunk(b"IDAT", zlib.compress(packed(frames[0] * 0, 8)))
    first = file.index(b"IDAT") - 4
    second = file.index(b"fcTL", first) - 4
    data = file[first + 8 : second - 4]
    moved = png.chunk(b"fdAT", bytes(4) + data)

    found = list(clip(file[:at] + other + file[at:first] + moved + file[second:]).frames())

    assert [int(frame.rgb[TOP, LEFT, 0]) for frame in found] == [10, 20]


@pytest.mark.parametrize("what", [b"fcTL", b"fdAT"])
def test_altered_bytes_are_noticed(what: bytes):
    """Each chunk has a checksum: the frames before it are good."""
    frames = [np.full((17, 23), 10 * n, np.uint8) for n in range(6)]
    file = bytearray(apng([frames[0], *(one[:7, :11] for one in frames[1:])], 8, GREY))
    at = file.index(b"fdAT")
    at = file.index(what, file.index(b"fdAT", at + 4) + 4)
    file[at + 12] ^= 1
    reader = clip(bytes(file))
    found = []

    with pytest.raises(ClipDamagedError):
        for frame in reader.frames():
            found.append(frame)

    assert len(found) == 3


@pytest.mark.parametrize(
    ("place", "content"),
    [(16, bytes(4)), (16, b"\x7f\xff\xff\xff"), (24, b"\x07")],
)
def test_impossible_heads_are_refused(place: int, content: bytes):
    """No width, far too many pixels, seven bits a sample."""
    file = bytearray(apng([np.zeros((17, 23), np.uint8)] * 2, 8, GREY))
    file[place : place + len(content)] = content
    file[29:33] = zlib.crc32(file[12:29]).to_bytes(4, "big")

    with pytest.raises(ImageError):
        list(clip(bytes(file)).frames())


def test_far_too_many_bytes_are_not_read():
    """A frame of 23x17 pixels has no three megabytes."""
    frames = [np.zeros((17, 23), np.uint8), np.zeros((7, 11), np.uint8)]
    file = apng(frames, 8, GREY)
    end = file.index(b"IEND") - 4
    junk = png.chunk(b"fdAT", bytes(3 << 20))

    with pytest.raises(ClipDamagedError, match="more bytes than pixels"):
        list(clip(file[:end] + junk + file[end:]).frames())


def test_part_outside_of_the_canvas_is_damage():
    """It would change other rows."""
    frames = [np.zeros((17, 23), np.uint8), np.zeros((17, 11), np.uint8)]

    with pytest.raises(ClipDamagedError, match="outside"):
        list(clip(apng(frames, 8, GREY)).frames())
