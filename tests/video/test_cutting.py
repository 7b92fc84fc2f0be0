"""Whole clips in one process, and the public Python interface."""

import math
import threading
import zipfile
from contextlib import ExitStack
from fractions import Fraction
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

import cvunet
from cvunet.errors import FileError, ImageError, OptionError
from cvunet.inference import matting
from cvunet.video import joining
from cvunet.video.backdrops import ClipBackdrop
from cvunet.video.clips import ClipLimits, Frame, VideoFormat
from cvunet.video.cutting import ClipJob, Part, PartFrames, cut_clip
from cvunet.video.formats import PLANS
from cvunet.video.pipeline import ClipRendering
from cvunet.video.reading import open_clip
from cvunet.video.stages import Cancelled
from tests.samples import names_in
from tests.video.clips_kit import Clip, damaged
from tests.video.moving_disc import find_red

pytest.importorskip("av")
TIMES = tuple(range(0, 1000, 40))


class RedPredictor:
    """A network that sees 64 x 64 pixels."""

    def prepare(self, picture: Any) -> Any:
        """As others."""
        return matting.prepare(picture, width=64, height=64)

    predict = staticmethod(find_red)


PREDICTOR: Any = RedPredictor()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """25 frames of 40 ms, with sound."""
    path = tmp_path / "in" / "clip.mp4"
    path.parent.mkdir()
    path.write_bytes(Clip(times=TIMES, sound="aac").file())
    return path


def frames_of(path: Path) -> list[Frame]:
    """What a result shows."""
    with path.open("rb") as stream:
        return list(open_clip(stream, limits=ClipLimits()).frames())


def test_a_clip_becomes_a_clip(clip: Path, tmp_path: Path):
    """All frames, their times, the sound; nothing else is left beside it."""
    seen: list[int] = []

    made = cvunet.cut_out_clip(PREDICTOR, clip, tmp_path / "out.mov", on_frame=seen.append)

    found = frames_of(tmp_path / "out.mov")
    assert made.frames == 25
    assert seen == list(range(1, 26))
    assert [frame.index for frame in found] == list(range(25))
    with (tmp_path / "out.mov").open("rb") as stream:
        assert open_clip(stream, limits=ClipLimits()).facts.has_sound
    assert names_in(tmp_path) == ["in", "out.mov"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("out.webm", ["its 10 bits a sample become 8: webm has no more"]),
        (
            "out.zip",
            [
                "its HDR colour tags are lost: png-sequence has none, so it looks pale",
                "its sound is lost: png-sequence has none",
            ],
        ),
        (
            "out.webp",
            [
                "its 10 bits a sample become 8: webp has no more",
                "its HDR colour tags are lost: webp has none, so it looks pale",
                "its sound is lost: webp has none",
            ],
        ),
        ("out.mov", []),
    ],
)
def test_what_the_format_cannot_keep_is_told(tmp_path: Path, name: str, said: list[str]):
    """Sound, depth and colour tags are not lost without a word."""
    clip = tmp_path / "clip.mp4"
    deep = Clip(pixel_format="yuv420p10le", tags=(9, 16, 9), times=(0, 40, 80), sound="aac")
    clip.write_bytes(deep.file())

    made = cvunet.cut_out_clip(PREDICTOR, clip, tmp_path / name)

    told = [warning for warning in made.warnings if " HDR (" not in warning]
    assert [one for one in told if "subject" not in one] == said


@pytest.mark.parametrize(
    ("name", "begin_s"), [("out.webm", 0.0), ("out.mov", 0.0), ("out.mov", 0.2)]
)
def test_sound_ends_where_a_damaged_clip_does(tmp_path: Path, name: str, begin_s: float):
    """Nobody wants to hear the rest of it beside the last frame."""
    made = Clip(times=tuple(range(0, 3000, 40)), sound="aac", options={"g": "10"})
    (tmp_path / "clip.mp4").write_bytes(damaged(made.file(), 25))

    cut = cvunet.cut_out_clip(
        PREDICTOR, tmp_path / "clip.mp4", tmp_path / name, part=(begin_s, None)
    )

    with av.open(str(tmp_path / name)) as result:
        sounds = [one for one in result.demux(audio=0) if one.size]
    end_s = max(float(((one.pts or 0) + (one.duration or 0)) * one.time_base) for one in sounds)
    assert 5 < cut.frames < 50
    assert end_s == pytest.approx(cut.frames / 25, abs=0.05)


class LastStep(BytesIO):
    """The encoded frames: they are read again when all of them are there."""

    def __init__(self, told: threading.Event) -> None:
        super().__init__()
        self.told = told

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Somebody stops the work now."""
        self.told.set()
        return super().seek(offset, whence)


@pytest.mark.parametrize("format", ["webm", "mov-qtrle", "png-sequence", "apng", "webp"])
def test_a_stop_while_the_sound_is_joined(clip: Path, format: VideoFormat):
    """An hour of it takes minutes: the work ends, and no result is given."""
    job = ClipJob(format, ClipRendering(prepare=PREDICTOR.prepare))
    with clip.open("rb") as stream, pytest.raises(Cancelled):
        cut_clip(
            open_clip(stream, limits=ClipLimits()),
            BytesIO(),
            LastStep(job.cancelled),
            predict=find_red,
            job=job,
        )


@pytest.mark.parametrize("format", ["webm", "mov-qtrle"])
def test_a_stop_while_sound_before_a_part_is_skipped(format: VideoFormat):
    """Of a part at the end of a long clip: nothing is written meanwhile."""
    file = BytesIO(Clip(times=tuple(range(0, 4000, 40)), sound="aac").file())
    packets: list[None] = []
    with open_clip(file, limits=ClipLimits()).open_sound() as source:
        every = sum(1 for _ in source.packets())
    part = joining.Cut(3.5)
    clip = open_clip(file, limits=ClipLimits())
    with ExitStack() as stack:
        container = stack.enter_context(av.open(BytesIO(), "w", format="matroska"))
        track = joining.open_sound(
            stack,
            clip,
            container,
            plan=PLANS[format],
            cut=part,
            check=lambda: packets.append(None),
        )
        next(track.packets())

    assert len(packets) > every / 2


def test_a_stop_before_the_part_begins():
    """Frames before it are decoded: that may take minutes, too."""
    seen: list[None] = []
    file = BytesIO(Clip(times=tuple(range(0, 4000, 40))).file())
    frames = PartFrames(
        open_clip(file, limits=ClipLimits()), Part(3.0), check=lambda: seen.append(None)
    )

    assert next(iter(frames)).index == 0
    assert len(seen) > 70


@pytest.mark.parametrize("background", [None, "#00ff00"])
def test_frames_without_a_subject_are_told(clip: Path, tmp_path: Path, background: str | None):
    """Nobody has to watch the result to learn of it. A trace of a mask is no subject."""

    def predict(pictures: Any) -> Any:
        found = [1.0 if picture[..., 0].mean() > 126 else 1e-4 for picture in pictures]
        return [np.full((64, 64), alpha, np.float32) for alpha in found]

    sees_late: Any = RedPredictor()
    sees_late.predict = predict
    made = cvunet.cut_out_clip(sees_late, clip, tmp_path / "out.mov", background=background)
    end = cvunet.cut_out_clip(sees_late, clip, tmp_path / "end.mov", part=(0.6, 0.8))

    # The red of a frame is twelve times its number, modulo 256.
    assert made.warnings == ("no subject was found in 14 of 25 frames",)
    assert (end.frames, end.warnings) == (5, ())


@pytest.mark.parametrize(
    ("part", "count"), [((0.2, 0.4), 5), ((0.19, None), 20), ((0, 0.04), 1), ((0.9, 5), 3)]
)
def test_part(clip: Path, tmp_path: Path, part: tuple[float, float | None], count: int):
    """Frames that are shown in it; the rest of 10 ms at 0.19 s is left out: nobody would see it."""
    made = cvunet.cut_out_clip(PREDICTOR, clip, tmp_path / "out.webm", part=part)

    assert made.frames == count
    assert frames_of(tmp_path / "out.webm")[0].pts == 0


def test_part_of_a_clip_of_variable_rate(tmp_path: Path):
    """Its average rate says little about where a time lies."""
    times = (*range(0, 4000, 20), *range(4000, 60_000, 2000))
    (tmp_path / "clip.mp4").write_bytes(Clip(times=times).file())

    made = cvunet.cut_out_clip(
        PREDICTOR, tmp_path / "clip.mp4", tmp_path / "out.webm", part=(3.9, 6.5)
    )

    assert made.frames == 5 + 2


def test_a_part_without_frames(clip: Path, tmp_path: Path):
    """It is an error, and nothing is left."""
    with pytest.raises(ImageError, match="no frame"):
        cvunet.cut_out_clip(PREDICTOR, clip, tmp_path / "out.webm", part=(100, None))

    assert names_in(tmp_path) == ["in"]


def test_expected_frames(clip: Path):
    """For progress: by the header."""
    with clip.open("rb") as stream:
        facts = open_clip(stream, limits=ClipLimits()).facts

    assert Part().expected_frames(facts) == 25
    assert Part(0.2, 0.4).expected_frames(facts) == 5
    assert Part(0.2).expected_frames(facts) == 20


@pytest.mark.parametrize("name", ["out.mov", "out.mp4", "out.webm", "out.zip"])
def test_a_colour_behind_the_subject(clip: Path, tmp_path: Path, name: str):
    """In every format; the result is opaque then."""
    cvunet.cut_out_clip(PREDICTOR, clip, tmp_path / name, background="#00ff00", part=(0, 0.1))

    corner = first_pixels(tmp_path / name)[0, 0].astype(int)
    # This network sees a twentieth of a subject everywhere.
    assert corner[:3] == pytest.approx([0, 255, 0], abs=20)
    assert corner.size == 3 or corner[3] == 255


def first_pixels(path: Path) -> Any:
    """The first frame of a result, HxWx3 or HxWx4."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith(".png"))
            return np.asarray(Image.open(BytesIO(archive.read(name))))
    found = frames_of(path)[0]
    rgb, alpha = found.rgb, found.alpha
    if rgb.dtype == np.uint16:
        rgb, alpha = rgb >> 8, None if alpha is None else alpha >> 8
    return rgb if alpha is None else np.dstack([rgb, alpha])


def test_a_clip_behind_the_subject(clip: Path, tmp_path: Path):
    """It plays, and begins again when it ends."""
    behind = tmp_path / "behind.mp4"
    behind.write_bytes(Clip(times=(0, 40, 80)).file())

    with behind.open("rb") as stream:
        backdrop = ClipBackdrop(open_clip(stream, limits=ClipLimits()), Fraction(1, 1000))
        shown = [backdrop(frame(time)).mean() for time in (0, 40, 80, 120, 160, 500, 1000)]
        first = list(open_clip(stream, limits=ClipLimits()).frames())

    means = [each.rgb.mean() for each in first]
    order = [0, 1, 2, 0, 1, (500 // 40) % 3, (1000 // 40) % 3]
    assert shown == pytest.approx([means[k] for k in order], abs=0.6)


@pytest.mark.parametrize("kind", ["picture", "clip", "clip of wide pixels"])
def test_a_background_keeps_its_shape_behind_pixels_that_are_not_square(tmp_path: Path, kind: str):
    """A result of wide pixels shows each circle as one."""
    picture = np.full((192, 192, 3), 255, np.uint8)
    rows, columns = np.mgrid[:192, :192] - 95.5
    picture[rows**2 + columns**2 < 40**2] = 0
    wide, behind = tmp_path / "wide.mp4", tmp_path / "behind.mov"
    wide.write_bytes(Clip(size=(96, 96), aspect=Fraction(2), times=(0, 40)).file())
    is_wide = kind == "clip of wide pixels"
    stored = picture[:, ::2] if is_wide else picture
    with av.open(str(behind), "w", format="mov") as container:
        stream = container.add_stream("qtrle", rate=25)
        stream.width, stream.height, stream.pix_fmt = stored.shape[1], 192, "rgb24"
        stream.codec_context.sample_aspect_ratio = Fraction(2 if is_wide else 1)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(stored), "rgb24")
        container.mux([*stream.encode(frame), *stream.encode(None)])
    background: Any = picture if kind == "picture" else behind

    class SeesNothing(RedPredictor):
        @staticmethod
        def predict(pictures: Any) -> Any:
            return [np.zeros((64, 64), np.float32) for _ in pictures]

    predictor: Any = SeesNothing()
    cvunet.cut_out_clip(predictor, wide, tmp_path / "out.mp4", background=background)

    is_dark = first_pixels(tmp_path / "out.mp4")[..., 0] < 128
    across, down = is_dark.any(axis=0).sum(), is_dark.any(axis=1).sum()
    assert down > 20
    assert 2 * across == pytest.approx(down, abs=3)


def test_a_clip_behind_a_late_frame_is_found_soon(tmp_path: Path):
    """Work that goes on after an hour does not decode a thousand rounds of a short clip."""
    path = tmp_path / "behind.mp4"
    path.write_bytes(Clip(times=(0, 40, 80)).file())
    decoded: list[None] = []
    with path.open("rb") as stream:
        reader = open_clip(stream, limits=ClipLimits())
        backdrop = ClipBackdrop(reader, Fraction(1, 1000), on_frame=lambda: decoded.append(None))
        late = backdrop(frame(3_600_000 + 40))
        stepwise = ClipBackdrop(reader, Fraction(1, 1000))
        for time in range(0, 1_280, 40):
            expected = stepwise(frame(time))

    assert len(decoded) <= 8
    assert (late == expected).all()  # 90,001 and 31 frames after the first, of three


def test_a_clip_behind_one_of_the_same_rate_shows_each_frame(tmp_path: Path):
    """Although the times of one are rounded to milliseconds: 42 are not before 41.67."""
    path = tmp_path / "behind.mkv"
    path.write_bytes(Clip(times=(0, 42, 83, 125), container="matroska").file())
    with path.open("rb") as stream:
        reader = open_clip(stream, limits=ClipLimits())
        backdrop = ClipBackdrop(reader, Fraction(1, 24))
        shown = [backdrop(frame(number)).copy() for number in range(4)]

    assert all((one != other).any() for one, other in pairwise(shown))


def frame(time: int) -> Frame:
    """A frame of any content."""
    return Frame(0, time, 40, np.zeros((64, 96, 3), np.uint8))


@pytest.mark.parametrize(
    ("target", "changes", "error", "words"),
    [
        ("out.gif", {}, OptionError, "unknown suffix"),
        ("out.mov", {"background": "#00ff00", "format": "alpha"}, OptionError, "matte alone"),
        ("missing/out.webm", {}, FileError, "cannot be written"),
        ("out.webm", {"format": "theora"}, OptionError, "unknown suffix or format"),
        ("out.webm", {"part": (0, math.inf)}, OptionError, "None is the end"),
        ("out.webm", {"part": (math.nan, None)}, OptionError, "give its begin and its end"),
        ("out.webm", {"part": (0, math.nan)}, OptionError, "give its begin and its end"),
        ("out.webm", {"part": (5, 3)}, OptionError, "part of the clip is from 5 to 3"),
        ("out.webm", {"part": (1e308, None)}, ImageError, "no frame"),
        ("o\0.webm", {}, FileError, "no file can have this name"),
        (f"{'o' * 300}.webm", {}, FileError, "cannot be written"),
        ("out.mp4", {"background": np.zeros((0, 5, 3), np.uint8)}, OptionError, "has shape"),
        ("out.mp4", {"background": Path("a\0.mp4")}, FileError, "no file can have this name"),
    ],
)
def test_what_cannot_be(
    clip: Path, tmp_path: Path, target: str, changes: Any, error: Any, words: str
):
    """Each is an error of the library, with what to do."""
    with pytest.raises(error, match=words):
        cvunet.cut_out_clip(PREDICTOR, clip, tmp_path / target, **changes)

    assert names_in(tmp_path) == ["in"]


@pytest.mark.parametrize("name", ["clip.mp4", "room.mp4", "link.mp4"])
def test_a_target_that_is_used(clip: Path, name: str):
    """Neither the source nor the background is replaced, also by another name."""
    room, target = clip.with_name("room.mp4"), clip.with_name(name)
    room.write_bytes(Clip(times=TIMES).file())
    clip.with_name("link.mp4").symlink_to(room)
    before = target.read_bytes()

    with pytest.raises(OptionError, match="name another target"):
        cvunet.cut_out_clip(PREDICTOR, str(clip), target, background=room)

    assert target.read_bytes() == before


def test_a_clip_of_a_name_that_no_file_can_have(tmp_path: Path):
    """As with pictures."""
    with pytest.raises(FileError, match="no file can have this name"):
        cvunet.cut_out_clip(PREDICTOR, "a\0.mp4", tmp_path / "out.webm")


def test_a_part_that_ends_long_after_the_clip(clip: Path, tmp_path: Path):
    """To its end."""
    made = cvunet.cut_out_clip(PREDICTOR, clip, tmp_path / "out.webm", part=(0.8, 1e308))

    assert made.frames == 5


def test_no_clip(tmp_path: Path):
    """A picture is none."""
    (tmp_path / "in.png").write_bytes(BytesIO(b"\x89PNG\r\n\x1a\n" + b"0" * 99).getvalue())

    with pytest.raises(ImageError, match="no moving picture"):
        cvunet.cut_out_clip(PREDICTOR, tmp_path / "in.png", tmp_path / "out.webm")
