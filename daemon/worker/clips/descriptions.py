"""What a clip child says of a clip: believed only as far as it can be true."""

from dataclasses import dataclass

from daemon.worker.children.channel import Message
from daemon.worker.children.description import SHA256, believed

#: Bytes of memory for each pixel and byte of a sample: of a frame that waits between decoding and
#: encoding, with its matte and its result; and of frames that codecs and neighbouring segments
#: keep. Measured with 1080p, VP9 and a window of 2: 412 in all.
FRAME_BYTES = 12
KEPT_BYTES = 300
#: The same for frames of a clip behind it: those that a decoder keeps, and three as pixels.
BEHIND_BYTES = 60
MOST_ASPECT = 1001  # of a pixel; the reader takes what is larger for a fault


@dataclass(frozen=True, slots=True)
class ClipHead:
    """What a child says of a clip before it begins: believed as far as it can be true."""

    width: int
    height: int
    sample_bytes: int
    frames: int | None
    pixel_aspect: float = 1.0
    """Width by height of a pixel."""
    behind_bytes: int = 0
    """Of a sample, times the pixels of a frame of the clip behind it; 0 if there is none."""

    @classmethod
    def of(cls, message: Message, *, max_pixels: int) -> "ClipHead":
        """Check it; `RuntimeError` for what makes no sense."""
        with believed():
            told = message["facts"]
            frames, behind = told["frames"], int(told.get("behind_bytes", 0))
            head = cls(
                width=int(told["width"]),
                height=int(told["height"]),
                sample_bytes=int(told["sample_bytes"]),
                frames=None if frames is None else int(frames),
                pixel_aspect=float(told.get("pixel_aspect", 1.0)),
                behind_bytes=behind,
            )
            is_true = (
                min(head.width, head.height) > 0
                and head.width * head.height <= max_pixels
                and head.sample_bytes in (1, 2)
                and 1 / MOST_ASPECT < head.pixel_aspect < MOST_ASPECT
                and 0 <= behind <= 2 * max_pixels
            )
            if not is_true:
                raise ValueError("a size that was not asked for")
        return head

    def memory_bytes(self, window: int) -> int:
        """Return what a clip of such frames takes: frames in the pipeline, and those of codecs."""
        pipeline = (2 * window + 10) * FRAME_BYTES * self.sample_bytes
        own = self.width * self.height * (pipeline + KEPT_BYTES * self.sample_bytes)
        return own + BEHIND_BYTES * self.behind_bytes


@dataclass(frozen=True, slots=True)
class ClipEnd:
    """What a child says of the finished whole."""

    has_sound: bool
    warnings: tuple[str, ...]
    sha256: str

    @classmethod
    def of(cls, message: Message) -> "ClipEnd":
        """Check it; `RuntimeError` for what makes no sense."""
        with believed():
            sha256 = str(message["sha256"])
            if SHA256.fullmatch(sha256) is None:
                raise ValueError("no checksum")
            return cls(bool(message["has_sound"]), tuple(map(str, message["warnings"])), sha256)
