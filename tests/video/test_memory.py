"""Memory does not grow with the length of a clip."""

import gc
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from cvunet.video.clips import VideoFormat
from cvunet.video.cutting import ClipJob, cut_clip
from tests.video.clips_kit import Clip, clip
from tests.video.moving_disc import find_red

pytestmark = pytest.mark.video

PROGRAM = """
import resource, sys
from io import BytesIO
from pathlib import Path

import numpy as np

from cvunet.video.clips import ClipLimits
from cvunet.video.formats import PLANS
from cvunet.video.joining import join
from cvunet.video.reading import open_clip
from cvunet.video.writing import SegmentWriter

source, format, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
with open(source, "rb") as stream:
    reader = open_clip(stream, limits=ClipLimits())
    paths, writer = [], None
    for frame in reader.frames():
        if writer is None:
            paths.append(folder / f"{len(paths)}.segment")
            out = paths[-1].open("wb")
            writer = SegmentWriter(out, format, reader.facts)
        alpha = np.full(frame.rgb.shape[:2], 200, np.uint8)
        writer.add(frame, np.dstack([frame.rgb, alpha]) if PLANS[format].channels == 4 else alpha)
        if writer.frames == 100:
            writer.close()
            out.close()
            writer = None
    if writer is not None:
        writer.close()
        out.close()
    segments = [path.open("rb") for path in paths]
    with (folder / "result").open("w+b") as result:
        join(segments, result, format=format, facts=reader.facts, sound_from=reader)
    for one in segments:
        one.close()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def peak_mib(source: Path, format: str, folder: Path) -> int:
    """Of a process that makes the result of a whole clip."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(source), format, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("format", ["mov-qtrle", "webm", "apng"])
def test_long_clip_takes_no_more_memory_than_a_short_one(format: str, tmp_path: Path):
    """1,200 frames beside 100; those of the long one are 88 MB when they are decoded."""
    short, long = tmp_path / "short.mp4", tmp_path / "long.mp4"
    short.write_bytes(Clip(size=(192, 128), times=range(0, 100 * 40, 40), sound="aac").file())
    long.write_bytes(Clip(size=(192, 128), times=range(0, 1200 * 40, 40), sound="aac").file())

    little = peak_mib(short, format, tmp_path / "short")
    much = peak_mib(long, format, tmp_path / "long")

    assert much < little + 25


FRAMES = 80
TIMES = range(0, FRAMES * 40, 40)
CLIPS = {
    "mp4": Clip(times=TIMES),
    "mp4, turned": Clip(times=TIMES, rotation=90),
    "mp4, interlaced": Clip(times=TIMES, interlaced=True),
    "webm": Clip("libvpx-vp9", "webm", times=TIMES),
    "mkv with alpha": Clip("ffv1", "matroska", pixel_format="bgra", times=TIMES),
}


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No collector: what lies in cycles stays."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def of_libav() -> Counter[str]:
    """How many objects of PyAV there are, by their class."""
    kinds = (type(one) for one in gc.get_objects())
    return Counter(kind.__name__ for kind in kinds if str(kind.__module__).startswith("av."))


@pytest.mark.parametrize("name", CLIPS)
@pytest.mark.usefixtures("uncollected")
def test_frames_that_are_read_go_without_the_collector(name: str):
    """A command that looks for cycles rarely kept each decoded frame of a clip."""
    before = of_libav()

    read = sum(1 for _ in clip(CLIPS[name].file()).frames())

    left = of_libav() - before
    assert read == FRAMES
    assert left.total() < FRAMES / 2, left


@pytest.mark.parametrize("format", ["webm", "apng", "png-sequence"])
@pytest.mark.usefixtures("uncollected")
def test_frames_that_are_cut_out_go_without_the_collector(format: VideoFormat, tmp_path: Path):
    """From the decoder to the encoder."""
    source = clip(Clip(times=TIMES).file())
    before = of_libav()

    with (tmp_path / "out").open("w+b") as out, (tmp_path / "scratch").open("w+b") as scratch:
        made = cut_clip(source, out, scratch, predict=find_red, job=ClipJob(format))

    left = of_libav() - before  # only now: other threads break while somebody sees all objects
    assert made.frames == FRAMES
    assert left.total() < FRAMES / 2, left
