"""A part of a clip shows what the clip shows between its begin and its end, for as long."""

import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cvunet
from cvunet.errors import ClipDamagedError, ImageError
from cvunet.inference import matting
from cvunet.video.clips import ClipFacts, Frame
from cvunet.video.cutting import Part, PartFrames
from cvunet.video.reading import ignore_frame
from tests.video.clips_kit import Clip, clip, heard
from tests.video.moving_disc import find_red

pytest.importorskip("av")
PIXEL = np.zeros((1, 1, 3), np.uint8)
SLIDES = (100, 5000, 100, 100)


@dataclass
class Slides:
    """A clip whose frames are shown for so many ticks."""

    ticks: Sequence[int]
    time_base: Fraction = Fraction(1, 1000)

    @property
    def facts(self) -> ClipFacts:
        rate = len(self.ticks) / (sum(self.ticks) * self.time_base)
        return ClipFacts("gif", 1, 1, None, None, rate, self.time_base)

    def frames(
        self, first: int = 0, *, on_skipped: Callable[[], None] = ignore_frame
    ) -> Iterator[Frame]:
        """As `ClipReader.frames`; the red of a frame is its number."""
        starts = accumulate(self.ticks, initial=0)
        for number, (start, ticks) in enumerate(zip(starts, self.ticks, strict=False)):
            if number >= first:
                yield Frame(number, start, ticks, PIXEL + np.uint8(number % 256))


def shown(clip: Slides, *part: float | None) -> tuple[Fraction, list[tuple[int, int, int]]]:
    """When the part begins, and for each frame which one it is, when and how long it is shown."""
    reader: Any = clip
    source = PartFrames(reader, Part(*part))  # type: ignore[arg-type]
    found = list(source)
    assert [frame.index for frame in found] == list(range(len(found)))
    assert source.count == len(found)
    return source.begin_s, [(int(each.rgb[0, 0, 0]), each.pts, each.duration) for each in found]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ((0.0, None), [(0, 0, 100), (1, 100, 5000), (2, 5100, 100), (3, 5200, 100)]),
        ((0.0, 1.0), [(0, 0, 100), (1, 100, 900)]),
        ((0.05, None), [(0, 0, 50), (1, 50, 5000), (2, 5050, 100), (3, 5150, 100)]),
        ((2.0, 3.0), [(1, 0, 1000)]),
        ((2.0, 2.005), [(1, 0, 5)]),
        ((0.1, 5.15), [(1, 0, 5000), (2, 5000, 50)]),
        ((5.25, None), [(3, 0, 50)]),
        ((5.0, 60.0), [(1, 0, 100), (2, 100, 100), (3, 200, 100)]),
    ],
)
def test_frames_are_shown_for_their_time_in_the_part(
    part: tuple[float, float | None], expected: list[tuple[int, int, int]]
):
    """One that began before is there for its rest, the last one up to the end."""
    assert shown(Slides(SLIDES), *part) == (Fraction(part[0]).limit_denominator(1000), expected)


def test_a_rest_that_nobody_would_see_is_left_out():
    """It may be of the scene before. The part, and so its sound, begins with the next frame."""
    begin_s, frames = shown(Slides(SLIDES), 0.095, 1.0)

    assert (begin_s, frames) == (Fraction(1, 10), [(1, 0, 900)])


def test_nothing_is_shown_before_the_begin():
    """A part that would begin before the clip begins with it."""
    assert shown(Slides((40, 40)), -3.0, 0.06) == (Fraction(0), [(0, 0, 40), (1, 40, 20)])


@pytest.mark.parametrize("part", [(5.3, None), (100.0, None), (5.3, 9.0)])
def test_nothing_is_shown_after_the_end(part: tuple[float, float | None]):
    """The last frame is shown for its time, not for ever."""
    assert shown(Slides(SLIDES), *part)[1] == []


def test_an_end_that_nobody_would_see_is_left_out():
    """At 29.97 a second, 30 s end 3.4 ms after a frame begins: the one before is shown on."""
    clip = Slides([1001] * 1000, Fraction(1, 30_000))

    frames = shown(clip, 29.9, 30.0)[1]

    assert frames[-1][2] == 1001 + 101
    assert sum(duration for *_, duration in frames) == 3000


def test_a_part_between_two_ticks_is_empty():
    """A GIF counts in hundredths."""
    assert shown(Slides((100, 500, 100), Fraction(1, 100)), 2.001, 2.005)[1] == []


@pytest.mark.parametrize("good", [1, 2, 5])
def test_a_clip_that_is_damaged_in_a_part(good: int):
    """All frames before the damage come out, also the last one."""

    class Damaged(Slides):
        def frames(
            self, first: int = 0, *, on_skipped: Callable[[], None] = ignore_frame
        ) -> Iterator[Frame]:
            yield from islice(super().frames(first), good)
            raise ClipDamagedError("no more", frames=good, seconds=1.0)

    reader: Any = Damaged((40,) * 9)
    source, found = PartFrames(reader, Part(0.0, 0.3)), []
    with pytest.raises(ClipDamagedError):
        for frame in source:
            found.append(frame.index)

    assert found == list(range(good))
    assert source.count == good


def test_a_frame_held_from_long_before_is_found():
    """Frames are searched by the average rate, which says little here."""
    clip = Slides((*[20] * 200, 60_000, *[20] * 200))

    assert shown(clip, 63.0, 64.02)[1][0] == (200, 0, 1000)


def test_times_are_exact_in_ticks():
    """Of 1001/30000 s no tick is a number of milliseconds: a begin between two is the later one."""
    clip = Slides([1] * 90, Fraction(1001, 30_000))

    begin_s, frames = shown(clip, 1.5, 2.0)

    assert begin_s == 45 * clip.time_base
    assert frames == [(number, number - 45, 1) for number in range(45, 60)]


class RedPredictor:
    """A network that sees 64 x 64 pixels."""

    def prepare(self, picture: Any) -> Any:
        """As others."""
        return matting.prepare(picture, width=64, height=64)

    predict = staticmethod(find_red)


def cut(source: Path, target: Path, *part: float | None) -> None:
    """The part of a clip."""
    predictor: Any = RedPredictor()
    cvunet.cut_out_clip(predictor, source, target, part=part)  # type: ignore[arg-type]


def test_a_held_slide_is_in_the_files(tmp_path: Path):
    """From the middle of a slide of five seconds to the middle of the next."""
    images = [Image.new("RGB", (60, 40), (200, 40 * k, 30)) for k in range(4)]
    images[0].save(
        tmp_path / "in.webp", "WEBP", save_all=True, append_images=images[1:], duration=SLIDES
    )

    cut(tmp_path / "in.webp", tmp_path / "out.zip", 2, 5.15)
    cut(tmp_path / "in.webp", tmp_path / "out.png", 2, 5.15)

    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        lines = archive.read("times.csv").decode().splitlines()[1:]
    assert lines == ["000000.png,0.000000,3.100000", "000001.png,3.100000,0.050000"]
    with Image.open(BytesIO((tmp_path / "out.png").read_bytes())) as image:
        durations = []
        for number in range(2):
            image.seek(number)
            durations.append(image.info["duration"])
    assert durations == [3100, 50]


def test_sound_begins_with_the_part(tmp_path: Path):
    """Where a held frame's rest begins, not where the next frame does."""
    held = Clip(times=(0, 40, 80, 1600, 1960), sound="aac")
    (tmp_path / "in.mp4").write_bytes(held.file())

    cut(tmp_path / "in.mp4", tmp_path / "out.mov", 1.0, 1.8)

    made = (tmp_path / "out.mov").read_bytes()
    start_s, samples = heard(made, "mov")
    assert start_s == pytest.approx(0, abs=0.03)
    assert start_s + len(samples) / 48_000 == pytest.approx(0.8, abs=0.03)
    times = [(each.pts, each.duration) for each in frames_of(made)]
    assert times == [(Fraction(0), Fraction(6, 10)), (Fraction(6, 10), Fraction(2, 10))]


def frames_of(content: bytes) -> list[Any]:
    """Time and duration of each frame in seconds."""
    reader = clip(content)
    base = reader.facts.time_base
    return [
        Frame(each.index, each.pts * base, each.duration * base, PIXEL)  # type: ignore[arg-type]
        for each in reader.frames()
    ]


def test_a_part_behind_the_last_frame(tmp_path: Path):
    """It is an error still."""
    (tmp_path / "in.mp4").write_bytes(Clip(times=(0, 40, 80)).file())

    with pytest.raises(ImageError, match="no frame"):
        cut(tmp_path / "in.mp4", tmp_path / "out.zip", 0.5, None)
