"""Clips that tests make with PyAV, and a worker with a network that is none."""

import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cvunet.inference.preparation import Preparation
from cvunet.pictures.reading import Picture
from daemon.clips import ClipTask
from daemon.jobs import Task
from daemon.renderings import Video
from daemon.worker.finishing import Finishing
from daemon.worker.gauges import Limits
from daemon.worker.lanes import ServedModel
from daemon.worker.worker import Worker
from tests.samples import RENDERING

SIDE = 64
WIDTH, HEIGHT, RATE = 96, 64, 24
SEGMENT = 8
GENERATOR = np.random.default_rng(1)
SERIALS = itertools.count(1)


class Bright:
    """Stands for a predictor: bright pixels are the subject."""

    device = SimpleNamespace(type="cpu")
    runtime = "none"

    def __init__(self, side: int = SIDE) -> None:
        self.preparation = Preparation(side, side)
        self.batches: list[int] = []
        self.before: Callable[[], object] = lambda: None
        """Called before each pass."""

    def prepare(self, picture: Picture) -> NDArray[np.uint8]:
        """As the real ones."""
        return self.preparation(picture)

    def predict(self, batch: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        """Opaque where it is bright."""
        self.before()
        self.batches.append(len(batch))
        return [(small.mean(axis=2) > 128).astype(np.float32) for small in batch]

    def warm(self, sizes: Sequence[int]) -> None:
        """Nothing to warm."""

    def memory(self) -> None:
        """None of its own."""


class Described(Bright):
    """A model of another program: its description says how pictures are made small."""

    def __init__(self, preparation: Preparation) -> None:
        super().__init__()
        self.preparation = preparation

    def predict(self, batch: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        """As soft as its input, so that each difference shows."""
        return [(small.mean(axis=2) / 255).astype(np.float32) for small in batch]


def frame(number: int, *, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """A bright square that moves over a dark ground."""
    pixels = np.full((height, width, 3), (20, 40, 60), np.uint8)
    left = number * 2 % (width - 24)
    pixels[16:40, left : left + 24] = (250, 220, 200)
    return pixels


def write_clip(
    path: Path,
    *,
    frames: int,
    width: int = WIDTH,
    height: int = HEIGHT,
    has_sound: bool = False,
    options: dict[str, str] | None = None,
) -> Path:
    """An mp4 of MPEG-4, 24 frames a second, with a tone if it is to have one.

    ``options``: of the container.
    """
    import av

    with av.open(str(path), "w", format="mp4", container_options=options) as out:
        video = out.add_stream("mpeg4", rate=RATE)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.bit_rate = 2_000_000
        sound = out.add_stream("aac", rate=48_000) if has_sound else None
        for number in range(frames):
            picture = av.VideoFrame.from_ndarray(frame(number, width=width, height=height))
            picture.pts, picture.time_base = number, Fraction(1, RATE)
            out.mux(video.encode(picture))
        out.mux(video.encode(None))
        if sound is not None:
            add_tone(out, sound, seconds=frames / RATE)
    return path


def write_webm(path: Path, *, frames: int) -> Path:
    """A WebM of VP8, whose frames can be read as far as the file goes."""
    import av

    with av.open(str(path), "w", format="webm") as out:
        video = out.add_stream("libvpx", rate=RATE)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.bit_rate = 2_000_000
        for number in range(frames):
            picture = av.VideoFrame.from_ndarray(frame(number) ^ noise())
            picture.pts, picture.time_base = number, Fraction(1, RATE)
            out.mux(video.encode(picture))
        out.mux(video.encode(None))
    return path


def write_shades(
    path: Path, shades: Sequence[int], *, width: int = WIDTH, height: int = HEIGHT
) -> Path:
    """A Matroska of grey frames, 24 a second, kept exactly but for the range of video."""
    import av

    with av.open(str(path), "w", format="matroska") as out:
        video = out.add_stream("ffv1", rate=RATE)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        for number, shade in enumerate(shades):
            picture = av.VideoFrame.from_ndarray(np.full((height, width, 3), shade, np.uint8))
            picture.pts, picture.time_base = number, Fraction(1, RATE)
            out.mux(video.encode(picture))
        out.mux(video.encode(None))
    return path


def noise() -> NDArray[np.uint8]:
    """What cannot be packed, so that each frame takes some bytes."""
    return GENERATOR.integers(0, 64, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def add_tone(out: Any, stream: Any, *, seconds: float) -> None:
    """A sine of 440 Hz."""
    import av

    count, size = int(seconds * 48_000), 1024
    for start in range(0, count, size):
        times = np.arange(start, start + size) / 48_000
        samples = (np.sin(2 * np.pi * 440 * times) * 8000).astype(np.int16)[None]
        piece = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        piece.sample_rate, piece.pts, piece.time_base = 48_000, start, Fraction(1, 48_000)
        out.mux(stream.encode(piece))
    out.mux(stream.encode(None))


def gif(frames: int) -> bytes:
    """An animated GIF."""
    pictures = [Image.fromarray(frame(number)).quantize(16) for number in range(frames)]
    content = io.BytesIO()
    pictures[0].save(content, "GIF", save_all=True, append_images=pictures[1:], duration=40, loop=0)
    return content.getvalue()


def decoded(path: Path) -> list[NDArray[np.uint8]]:
    """All frames of a result as RGBA."""
    import av

    with av.open(str(path)) as clip:
        return [np.asarray(one.to_ndarray(format="rgba")) for one in clip.decode(video=0)]


def make_task(source: Path, *, format: str = "mov-qtrle", **changes: Any) -> Task:
    """A task for a clip; ``changes``: fields of `Video`."""
    video = Video(**{"window": 2} | changes)
    part = source.parent / f".{next(SERIALS):022x}.part"
    clip = ClipTask("mp4", format, video)  # type: ignore[arg-type]  # a format
    return Task("job", source, part, RENDERING, 10**7, clip=clip)


def limits(**changes: Any) -> Limits:
    """Of a small worker."""
    fields = {
        "max_batch": 4,
        "max_wait_s": 0.0,
        "decoders": 2,
        "finishers": 1,
        "memory_bytes": 10**9,
        "segment_frames": SEGMENT,
    }
    return Limits(**fields | changes)


@contextmanager
def worker(
    predictor: Any = None, finishing: Finishing | None = None, **changes: Any
) -> Iterator[Worker]:
    """A worker whose network knows brightness only; ``changes``: fields of `Limits`."""
    made = Worker({"": ServedModel([predictor or Bright()])}, limits(**changes), finishing)
    try:
        yield made
    finally:
        made.drain()
        made.close()
