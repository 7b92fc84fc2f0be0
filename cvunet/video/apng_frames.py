"""Frames of an animated PNG. Each is made a PNG of its own here, decoded and laid on the canvas.

libavformat's own way puts frames of less than 8 bits a sample at the wrong place, and cannot blend
those of 16.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction

from cvunet.errors import ImageError
from cvunet.pictures import png, signatures
from cvunet.video import animations, chunks
from cvunet.video.clips import ClipFacts, ClipLimits
from cvunet.video.decoding import Raw
from cvunet.video.streams import Readable, Window, WindowMaker

TICKS = 90_000  # a second: exact for most rates
GREY, PALETTE, GREY_ALPHA = 0, 3, 4
"""Colour types."""
SPARE_BYTES = 1 << 20
#: Of chunks before the first frame.
MOST_BYTES = {b"IHDR": 13, b"PLTE": 768, b"tRNS": 256, b"iCCP": chunks.MOST_PROFILE_BYTES}


class DamagedChunk(ImageError):
    """A chunk is cut off, or altered."""


@dataclass(frozen=True, slots=True)
class PngHead:
    """What is the same for all frames."""

    width: int
    height: int
    bits: int
    colour_type: int
    rest: bytes
    """Of IHDR: compression, filter, interlacing."""
    palette: bytes = b""
    transparency: bytes = b""
    profile: bytes = b""

    def file_of(self, width: int, height: int, data: bytes) -> bytes:
        """A PNG of one frame, from its compressed pixels."""
        colour_type, palette, transparency = self.colour_type, self.palette, self.transparency
        if colour_type == GREY and transparency and self.bits < 8:
            # libavcodec cannot do it: a palette of the same greys can.
            level, levels = int.from_bytes(transparency, "big"), 1 << self.bits
            greys = (255 * k // (levels - 1) for k in range(levels))
            palette = b"".join(bytes((grey,)) * 3 for grey in greys)
            transparency = bytes(0 if k == level else 255 for k in range(levels))
            colour_type = PALETTE
        ihdr = struct.pack(">IIBB", width, height, self.bits, colour_type) + self.rest
        parts = [signatures.PNG, png.chunk(b"IHDR", ihdr)]
        parts += [png.chunk(b"PLTE", palette)] if palette else []
        parts += [png.chunk(b"tRNS", transparency)] if transparency else []
        return b"".join((*parts, png.chunk(b"IDAT", data), png.chunk(b"IEND", b"")))


@dataclass(frozen=True, slots=True)
class FrameHead:
    """A chunk fcTL, and where the chunks with its pixels lie in the file."""

    width: int
    height: int
    left: int
    top: int
    seconds: Fraction
    dispose: int
    blend: int
    parts: list[tuple[bytes, int, int]] = field(default_factory=list)


class ApngSource:
    """An animated PNG as frames of libav, RGBA, on its whole canvas."""

    def __init__(self, window: WindowMaker, limits: ClipLimits) -> None:
        """`ImageError` if it is too large or too long, or has no head."""
        self._window = window
        self._limits = limits
        self.start_s = Fraction(0)
        self._head = read_head(window())
        self.facts = self._read_facts(window())

    def _read_facts(self, stream: Readable) -> ClipFacts:
        head, limits = self._head, self._limits
        animations.check_size(head.width, head.height, limits)
        lengths = []
        with suppress(DamagedChunk):  # the frames before it are good
            for frame in frame_heads(stream, limits.max_frames):
                lengths.append(frame.seconds)
        if not lengths:
            raise ImageError("it has no frame that can be decoded")
        seconds = sum(lengths, Fraction(0))
        animations.check_length(seconds, limits)
        facts = ClipFacts(
            kind="apng",
            width=head.width,
            height=head.height,
            frames=len(lengths),
            seconds=float(seconds),
            rate=(len(lengths) / seconds).limit_denominator(TICKS),
            time_base=Fraction(1, TICKS),
            bits=16 if head.bits == 16 else 8,
            has_alpha=True,
            loops=chunks.png_control(stream)[1],
        )
        is_grey = head.colour_type in (GREY, GREY_ALPHA)
        return animations.with_profile(facts, head.profile, is_grey=is_grey)

    def raws(self) -> Iterator[Raw]:
        """Each frame, composed onto the canvas; `ImageError` where it is damaged."""
        head, stream, is_deep = self._head, self._window(), self._head.bits == 16
        canvas = animations.canvas_of(head.width, head.height, is_deep=is_deep)
        begin = Fraction(0)
        for number, frame in enumerate(frame_heads(self._window(), self._limits.max_frames)):
            file = head.file_of(frame.width, frame.height, data_of(stream, head, frame))
            pixels = animations.decode_still(
                file, "png", max_pixels=self._limits.max_pixels, is_deep=is_deep
            )
            place = animations.place_on(canvas, pixels, left=frame.left, top=frame.top)
            before = place.copy() if number and frame.dispose == chunks.RESTORE_AFTER else 0
            place[...] = animations.over(pixels, place) if frame.blend == chunks.BLEND else pixels
            end = begin + frame.seconds
            stamp, until = round(begin * TICKS), round(end * TICKS)
            yield Raw(animations.as_picture(canvas), None, stamp, until - stamp)
            begin = end
            if frame.dispose in (chunks.CLEAR_AFTER, chunks.RESTORE_AFTER):
                place[...] = before


def read_head(stream: Readable) -> PngHead:
    """IHDR and the palette; `ImageError` if one of them is damaged."""
    found: dict[bytes, bytes] = {}
    for name, at, length in chunks.png_chunks(stream):
        if length <= MOST_BYTES.get(name, -1):
            found[name] = content_of(stream, name, at, length)
        if name in (b"IDAT", b"IEND"):
            break
    ihdr = found.get(b"IHDR", b"")
    if len(ihdr) != 13:
        raise ImageError("it has no head (IHDR), or a damaged one")
    width, height, bits, colour_type = struct.unpack_from(">IIBB", ihdr)
    return PngHead(
        width,
        height,
        bits,
        colour_type,
        ihdr[10:],
        palette=found.get(b"PLTE", b""),
        transparency=found.get(b"tRNS", b""),
        profile=unpacked(found.get(b"iCCP", b"")),
    )


UNUSABLE = b"\0"
"""In place of a colour profile: who reads it says that it cannot be used."""


def unpacked(content: bytes) -> bytes:
    """The ICC profile of a chunk iCCP; `UNUSABLE` if it is damaged, or far too large."""
    if not content:
        return b""
    packed = content.partition(b"\0")[2][1:]
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(packed, chunks.MOST_PROFILE_BYTES)
    except zlib.error:
        return UNUSABLE
    return profile if unpacker.eof else UNUSABLE


def frame_heads(stream: Readable, most: int) -> Iterator[FrameHead]:
    """Each frame; `ImageError` if there are more than ``most``.

    The default image, if it is none of them, is left out.
    """
    frame: FrameHead | None = None
    count = 0
    for name, at, length in chunks.png_chunks(stream, chunks.MOST_APNG_CHUNKS):
        if name in (b"fcTL", b"IEND") and frame is not None and frame.parts:
            yield frame
            frame = None
        if name == b"fcTL":
            is_whole = length == chunks.FRAME_CONTROL.size
            frame = control_of(content_of(stream, name, at, length) if is_whole else b"")
            count += 1
            if count > most:
                raise ImageError(f"it has more than {most} frames")
        elif name in (b"IDAT", b"fdAT") and frame is not None:
            frame.parts.append((name, at, length))
        elif name == b"IEND":
            return
    if frame is not None and frame.parts:
        yield frame


def control_of(content: bytes) -> FrameHead:
    """A frame without its pixels; `ImageError` if it is damaged."""
    if len(content) != chunks.FRAME_CONTROL.size:
        raise DamagedChunk("a frame is damaged")
    fields = chunks.FRAME_CONTROL.unpack(content)
    _, width, height, left, top, delay, divisor, dispose, blend = fields
    seconds = animations.shown_s(Fraction(delay, divisor or 100))
    return FrameHead(width, height, left, top, seconds, dispose, blend)


def data_of(stream: Window, head: PngHead, frame: FrameHead) -> bytes:
    """The compressed pixels of a frame; `ImageError` if they are damaged or far too many.

    A frame that says to be large could make us read the whole file at once.
    """
    if frame.left + frame.width > head.width or frame.top + frame.height > head.height:
        raise ImageError("a frame lies outside of the picture")
    total = sum(length for _, _, length in frame.parts)
    if total > 16 * (frame.width + 1) * frame.height + SPARE_BYTES:
        raise ImageError("a frame is damaged: it has more bytes than pixels")
    stream.renew()
    stream.expect(total)
    contents = ((name, content_of(stream, name, at, n)) for name, at, n in frame.parts)
    return b"".join(one[4:] if name == b"fdAT" else one for name, one in contents)


def content_of(stream: Readable, name: bytes, at: int, length: int) -> bytes:
    """What is in a chunk; `ImageError` if it is cut off, or its checksum is wrong."""
    stream.seek(at)
    content = stream.read(length + 4)
    if len(content) < length + 4:
        raise DamagedChunk("it is cut off")
    content, checksum = content[:length], content[length:]
    if zlib.crc32(content, zlib.crc32(name)) != int.from_bytes(checksum, "big"):
        raise DamagedChunk("a frame is damaged: its checksum is wrong")
    return content
