"""Results that are made of pictures: animated PNG, animated WebP, and a zip of numbered PNGs.

Frames go through one by one. An animated picture shows each for its time, and then clears the
canvas: so a frame holds only the part that is not transparent.
"""

import math
import struct
import zipfile
from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO
from typing import BinaryIO

from cvunet.errors import ImageError
from cvunet.pictures import png, signatures
from cvunet.video.chunks import (
    ANIMATION,
    CLEAR_AFTER,
    FRAME_CONTROL,
    HAS_ALPHA,
    OVERWRITE,
    png_chunks,
    webp_chunks,
)
from cvunet.video.clips import ClipFacts
from cvunet.video.encoders import PLACE
from cvunet.video.formats import PLANS
from cvunet.video.segments import Packet, SegmentHead

WEBP_FLAGS = 0b11
"""Of ANMF: do not blend; clear afterwards."""
ZIP_DATE = (1980, 1, 1, 0, 0, 0)
MOST_RIFF_BYTES = (1 << 32) - 2
MOST_WEBP_MS = (1 << 24) - 1
MOST_16 = (1 << 16) - 1
TIMES = "times.csv"


def write(packets: Iterator[Packet], out: BinaryIO, *, head: SegmentHead, facts: ClipFacts) -> None:
    """Write the result to ``out``, which can seek. ``head``: of the segments of the packets."""
    container = PLANS[head.format].container
    if container == "zip":
        write_zip(packets, out, facts)
    elif container == "png":
        write_apng(packets, out, head=head, facts=facts)
    else:
        write_webp(packets, out, head=head, facts=facts)


def write_zip(packets: Iterator[Packet], out: BinaryIO, facts: ClipFacts) -> None:
    """PNGs named by their number, and when each is shown, in seconds."""
    lines = ["file,seconds,duration"]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for number, packet in enumerate(packets):
            name = f"{number:06d}.png"
            archive.writestr(zipfile.ZipInfo(name, ZIP_DATE), packet.content)
            seconds, length = (float(t * facts.time_base) for t in (packet.pts, packet.duration))
            lines.append(f"{name},{seconds:.6f},{length:.6f}")
        archive.writestr(zipfile.ZipInfo(TIMES, ZIP_DATE), "\n".join((*lines, "")))


def write_apng(
    packets: Iterator[Packet], out: BinaryIO, *, head: SegmentHead, facts: ClipFacts
) -> None:
    """Chunks in the order fcTL, IDAT or fdAT; how many frames there are is known at the end."""
    out.write(signatures.PNG)
    control_at, frames, sequence = 0, 0, 0
    clock = Clock(facts.time_base)
    for packet in packets:
        chunks = list(png_contents(packet.content))
        if frames == 0:
            size = struct.pack(">II", head.width, head.height)
            out.write(png.chunk(b"IHDR", size + chunks[0][1][8:]))
            control_at = out.tell()
            out.write(control_chunk(0, facts))
        out.write(png.chunk(b"fcTL", frame_control(packet, sequence, clock)))
        sequence += 1
        for data in (content for name, content in chunks if name == b"IDAT"):
            if frames == 0:
                out.write(png.chunk(b"IDAT", data))
                continue
            out.write(png.chunk(b"fdAT", struct.pack(">I", sequence) + data))
            sequence += 1
        frames += 1
    out.write(png.chunk(b"IEND", b""))
    out.seek(control_at)
    out.write(control_chunk(frames, facts))
    out.seek(0, 2)


def control_chunk(frames: int, facts: ClipFacts) -> bytes:
    """acTL: how many frames, and how often they are shown; 0 is for ever."""
    return png.chunk(b"acTL", struct.pack(">II", frames, facts.loops or 0))


def frame_control(packet: Packet, sequence: int, clock: "Clock") -> bytes:
    """fcTL: where a frame lies, and how long it is shown."""
    left, top, width, height = PLACE.unpack(packet.extra)
    delay = clock.fraction(packet)
    place = (sequence, width, height, left, top, delay.numerator, delay.denominator)
    return FRAME_CONTROL.pack(*place, CLEAR_AFTER, OVERWRITE)


def png_contents(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a PNG."""
    stream = BytesIO(content)
    for name, at, length in png_chunks(stream):
        yield name, content[at : at + length]


class Clock:
    """Durations that a format can say; what rounding takes from one goes to the next."""

    def __init__(self, time_base: Fraction) -> None:
        """``time_base``: of the packets."""
        self._time_base = time_base
        self._start: int | None = None
        self._said = Fraction(0)

    def fraction(self, packet: Packet) -> Fraction:
        """Seconds until the next frame: exact if two numbers of 16 bits can say it, else rounded.

        Rounded to milliseconds, and beyond 65 s to the finest part of a second that they can say.
        At most 65535 s.
        """
        wanted = min(Fraction(MOST_16), max(Fraction(0), self._wanted(packet)))
        if max(wanted.numerator, wanted.denominator) > MOST_16:
            scale = min(1000, MOST_16 // max(1, math.ceil(wanted)))
            wanted = Fraction(round(wanted * scale), scale)
        self._said += wanted
        return wanted

    def milliseconds(self, packet: Packet) -> int:
        """Return the whole milliseconds until the next frame, as WebP can say them."""
        wanted = min(MOST_WEBP_MS, max(0, round(self._wanted(packet) * 1000)))
        self._said += Fraction(wanted, 1000)
        return wanted

    def _wanted(self, packet: Packet) -> Fraction:
        if self._start is None:
            self._start = packet.pts
        end = packet.pts + packet.duration - self._start
        return end * self._time_base - self._said


def write_webp(
    packets: Iterator[Packet], out: BinaryIO, *, head: SegmentHead, facts: ClipFacts
) -> None:
    """RIFF of VP8X, ANIM, and a chunk ANMF for each frame; `ImageError` beyond 4 GiB."""
    sides = b"".join((side - 1).to_bytes(3, "little") for side in (head.width, head.height))
    loops = min(facts.loops or 0, MOST_16)
    out.write(struct.pack("<4sI4s", b"RIFF", 0, b"WEBP"))
    out.write(struct.pack("<4sIB3x", b"VP8X", 10, ANIMATION | HAS_ALPHA) + sides)
    out.write(struct.pack("<4sIIH", b"ANIM", 6, 0, loops))
    clock = Clock(facts.time_base)
    for packet in packets:
        content = webp_frame(packet, clock)
        out.write(struct.pack("<4sI", b"ANMF", len(content)) + content)
        if out.tell() > MOST_RIFF_BYTES:
            raise ImageError("its result is larger than 4 GiB, which no WebP can be")
    size = out.tell() - 8
    out.seek(4)
    out.write(struct.pack("<I", size))
    out.seek(0, 2)


def webp_frame(packet: Packet, clock: Clock) -> bytes:
    """What a chunk ANMF holds: where and how long, and the picture's own chunks."""
    left, top, width, height = PLACE.unpack(packet.extra)
    numbers = (left // 2, top // 2, width - 1, height - 1, clock.milliseconds(packet))
    head = b"".join(number.to_bytes(3, "little") for number in numbers) + bytes((WEBP_FLAGS,))
    stream, parts = BytesIO(packet.content), [head]
    for name, at, length in webp_chunks(stream):
        if name in (b"ALPH", b"VP8 ", b"VP8L"):
            parts.append(packet.content[at - 8 : at + length + length % 2])
    return b"".join(parts)
