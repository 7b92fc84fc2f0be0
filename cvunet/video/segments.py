"""The file of a segment: encoded frames with their exact times, and a checksum over all of it.

It is no container of video: containers round times, each in its own way, and times must be rounded
once, when the segments are joined. A file that was cut off or altered is found by its checksum.
"""

import json
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction

from cvunet.errors import FileError
from cvunet.video.clips import VideoFormat
from cvunet.video.streams import Readable, Writable

MAGIC = b"cvunet segment 1\n"
HEAD = struct.Struct("<cI")
PACKET = struct.Struct("<qq?II")
END = struct.Struct("<QI")
MOST_BYTES = 1 << 31
"""Of one packet."""


@dataclass(frozen=True, slots=True)
class SegmentHead:
    """How the frames of a segment are encoded: equal in all segments of one result."""

    format: VideoFormat
    width: int
    height: int
    pixel_format: str
    time_base: Fraction
    rate: Fraction
    quality: int
    speed: str
    threads: int

    def as_bytes(self) -> bytes:
        """Return the head as the segment's file holds it."""
        return json.dumps({name: str(one) for name, one in asdict(self).items()}).encode()


@dataclass(frozen=True, slots=True, eq=False)
class Packet:
    """One encoded frame."""

    pts: int
    """Ticks of the clip's time base since its first frame."""
    duration: int
    is_key: bool
    content: bytes
    extra: bytes = b""
    """webm: the frame of alpha. Pictures: where on the canvas this one lies."""


class SegmentFile:
    """Writes a segment's file, from its beginning to its end."""

    def __init__(self, stream: Writable, head: SegmentHead) -> None:
        """``stream`` need not be able to seek; it stays open."""
        self._stream = stream
        self._checksum = 0
        self._count = 0
        self._write(MAGIC)
        self._record(b"H", head.as_bytes())

    def add(self, packet: Packet) -> None:
        """Append one encoded frame."""
        fields = (packet.pts, packet.duration, packet.is_key)
        fixed = PACKET.pack(*fields, len(packet.content), len(packet.extra))
        self._record(b"P", fixed, packet.content, packet.extra)
        self._count += 1

    def close(self) -> None:
        """Write the end, without which the file counts for nothing."""
        self._write(HEAD.pack(b"E", END.size))
        self._stream.write(END.pack(self._count, self._checksum))

    def _record(self, kind: bytes, *parts: bytes) -> None:
        self._write(HEAD.pack(kind, sum(map(len, parts))))
        for part in parts:
            self._write(part)

    def _write(self, content: bytes) -> None:
        self._stream.write(content)
        self._checksum = zlib.crc32(content, self._checksum)


class SegmentReader:
    """A segment's file, checked to be whole."""

    def __init__(self, stream: Readable) -> None:
        """Reads the head. `FileError` if it is no segment."""
        self._stream = stream
        self._checksum = 0
        self._sum_at_end = 0
        """The checksum when the last record's head had been read: all that the end vouches for."""
        stream.seek(0)
        if self._read(len(MAGIC)) != MAGIC:
            raise FileError("this is no segment of a clip")
        kind, size = self._head()
        if kind != b"H":
            raise FileError("a segment has no head")
        self.head = head_of(self._read(size))

    def packets(self) -> Iterator[Packet]:
        """Each packet, once. `FileError` at the end if the file is not whole."""
        count = 0
        while True:
            kind, size = self._head()
            if kind == b"P":
                yield self._packet(size)
                count += 1
            elif kind == b"E":
                frames, checksum = END.unpack(self._read(END.size))
                if (frames, checksum) != (count, self._sum_at_end) or self._stream.read(1):
                    raise FileError("a segment was altered after it was written")
                return
            else:
                raise FileError("a segment has a record of an unknown kind")

    def _packet(self, size: int) -> Packet:
        pts, duration, is_key, length, extra = PACKET.unpack(self._read(PACKET.size))
        if PACKET.size + length + extra != size:
            raise FileError("a segment was altered after it was written")
        return Packet(pts, duration, is_key, self._read(length), self._read(extra))

    def _head(self) -> tuple[bytes, int]:
        kind, size = HEAD.unpack(self._read(HEAD.size))
        self._sum_at_end = self._checksum
        return kind, size

    def _read(self, size: int) -> bytes:
        content = self._stream.read(size) if size <= MOST_BYTES else b""
        if len(content) != size:
            raise FileError("a segment ends too early: it was not written to its end")
        self._checksum = zlib.crc32(content, self._checksum)
        return content


def head_of(content: bytes) -> SegmentHead:
    """A head from its file; `FileError` if it is none."""
    try:
        fields = json.loads(content)
        for name in ("width", "height", "quality", "threads"):
            fields[name] = int(fields[name])
        for name in ("time_base", "rate"):
            fields[name] = Fraction(fields[name])
        return SegmentHead(**fields)
    except (ValueError, TypeError, KeyError, ZeroDivisionError) as error:
        raise FileError(f"a segment has a head that cannot be read: {error}") from error


def all_packets(segments: Sequence[Readable], check: Callable[[], None]) -> Iterator[Packet]:
    """The packets of all segments in order; `FileError` if they do not belong together.

    ``check`` is called for each of them, and may raise.
    """
    first: SegmentHead | None = None
    for segment in segments:
        reader = SegmentReader(segment)
        first = first or reader.head
        if reader.head != first:
            raise FileError("segments of different kinds cannot be joined: make them anew")
        for packet in reader.packets():
            check()
            yield packet
