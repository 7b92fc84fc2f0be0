"""Segments, and the results that they become: pixels, times, colours, determinism."""

from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from zipfile import ZipFile

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cvunet.errors import EncoderMissing, FileError, ImageError
from cvunet.video import av_library
from cvunet.video.clips import ClipFacts, Frame, Tags, VideoFormat
from cvunet.video.formats import PLANS, Encoding, losses
from cvunet.video.joining import join
from cvunet.video.writing import SegmentWriter
from tests.video.clips_kit import (
    MS,
    Clip,
    clip,
    count_frames,
    finished,
    pattern,
    result,
    seconds_of,
    segments_of,
    shown,
)

pytestmark = pytest.mark.video

FORMATS = list(PLANS)
STREAMS: list[VideoFormat] = [one for one in FORMATS if one != "png-sequence"]
LOSSLESS: list[VideoFormat] = ["mov-qtrle", "alpha", "apng"]
UNEVEN = (0, 15, 300, 311, 900)
SOURCE = Clip("ffv1", "matroska", pixel_format="bgr0", times=UNEVEN).file()


@pytest.mark.parametrize("format", STREAMS)
def test_result_has_every_frame_at_its_time(format: VideoFormat):
    """Of a variable rate; to the millisecond, since the source's times are milliseconds."""
    made = clip(result(SOURCE, format))

    assert seconds_of(made) == pytest.approx([time / 1000 for time in UNEVEN], abs=1e-9)


@pytest.mark.parametrize("format", ["mov-qtrle", "mov-prores", "mp4", "alpha"])
def test_times_of_mov_are_exact(format: VideoFormat):
    """30000/1001 frames a second have no whole milliseconds."""
    tick = Fraction(1001, 30000)
    source = Clip("qtrle", "mov", pixel_format="rgb24", time_base=Fraction(1, 30000), times=(0,))
    out = BytesIO()
    with av.open(out, "w", format="mov") as container:
        stream = container.add_stream("qtrle", rate=Fraction(30000, 1001))
        stream.width, stream.height, stream.pix_fmt = 32, 32, "rgb24"
        stream.codec_context.time_base = stream.time_base = source.time_base
        for n in range(7):
            frame = av.VideoFrame.from_ndarray(pattern(n, 32, 32)[..., :3].copy(), "rgb24")
            frame.pts, frame.time_base = n * 1001, source.time_base
            container.mux(stream.encode(frame))

    made = clip(result(out.getvalue(), format))

    times = [frame.pts * made.facts.time_base for frame in made.frames()]
    assert times == [n * tick for n in range(7)]


@pytest.mark.parametrize("format", FORMATS)
def test_joined_segments_equal_one(format: VideoFormat):
    """Frames of two segments are those of one; for lossless formats to the last bit."""
    one, two = result(SOURCE, format), result(SOURCE, format, length=2)

    if format == "png-sequence":
        assert one == two
        return
    pairs = list(zip(clip(one).frames(), clip(two).frames(), strict=True))
    assert [a.pts for a, _ in pairs] == [b.pts for _, b in pairs]
    tolerance = 0 if format in LOSSLESS else 3
    assert all(np.abs(a.rgb.astype(int) - b.rgb).mean() <= tolerance for a, b in pairs)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("speed", ["fast", "good"])
def test_same_frames_give_the_same_bytes(format: VideoFormat, speed: str):
    """A segment that is made again after a crash is the one that was lost."""
    encoding = Encoding(speed=speed, threads=2)  # type: ignore[arg-type]
    first, second = (
        segments_of(clip(SOURCE), format, length=3, encoding=encoding) for _ in range(2)
    )

    assert [one.getvalue() for one in first] == [one.getvalue() for one in second]
    assert result(SOURCE, format) == result(SOURCE, format)


def test_segment_does_not_depend_on_those_before():
    """The last one alone has the same bytes as the last of all."""
    reader = clip(SOURCE)
    all_of_them = segments_of(reader, "webm", length=3)

    last = segments_of(reader, "webm", length=3, frames=list(reader.frames(first=3)))

    assert last[0].getvalue() == all_of_them[1].getvalue()


@pytest.mark.parametrize("format", ["mov-qtrle", "apng", "png-sequence"])
def test_rgba_is_kept_to_the_bit(format: VideoFormat):
    """Where nothing is transparent; what is transparent has no colour that anyone sees."""
    reader = clip(SOURCE)
    wanted = [finished(frame, format) for frame in reader.frames()]

    made = result(SOURCE, format)

    if format == "png-sequence":
        with ZipFile(BytesIO(made)) as archive:
            found = [
                np.asarray(Image.open(BytesIO(archive.read(f"{n:06d}.png")))) for n in range(5)
            ]
    else:
        found = [np.dstack([one.rgb, one.alpha]) for one in clip(made).frames()]  # type: ignore[list-item]
    for one, other in zip(wanted, found, strict=True):
        visible = one[..., 3] > 0
        assert np.array_equal(one[visible], other[visible])


def test_alpha_of_webm_is_close():
    """Decoded by libvpx; PyAV's own decoder has no alpha to show."""
    made = result(SOURCE, "webm", encoding=Encoding(quality=95))

    frames = shown(made, "matroska", "libvpx-vp9")

    wanted = np.linspace(0, 255, 96).astype(np.uint8)
    assert max(np.abs(rgba[..., 3].astype(int) - wanted).max() for _, rgba in frames) <= 6


def test_grey_clip_is_the_matte():
    """Lossless, of full range."""
    frames = list(clip(result(SOURCE, "alpha")).frames())

    wanted = np.linspace(0, 255, 96).astype(np.uint8)
    assert all(np.array_equal(one.rgb[7, :, 1], wanted) for one in frames)


@pytest.mark.parametrize("size", [(1, 1), (33, 17), (2, 3), (16, 900)])
@pytest.mark.parametrize("format", STREAMS)
def test_odd_sizes_are_kept(format: VideoFormat, size: tuple[int, int]):
    """But for mp4, which repeats the last column or row: H.264 has even sides."""
    source = Clip("ffv1", "matroska", size=size, pixel_format="bgr0", times=(0, 40)).file()

    facts = clip(result(source, format)).facts

    even = tuple(side + side % 2 for side in size)
    assert (facts.width, facts.height) == (even if format == "mp4" else size)


@pytest.mark.parametrize(("format", "bits"), [("mov-prores", 10), ("mp4", 10), ("alpha", 16)])
def test_deep_samples_are_kept(format: VideoFormat, bits: int):
    """As deep as the format can be."""
    source = Clip("ffv1", "matroska", pixel_format="yuv444p10le", times=(0, 40)).file()

    assert clip(result(source, format)).facts.bits >= bits


def test_deep_apng_is_exact():
    """16 bits of RGBA."""
    source = Clip("ffv1", "matroska", pixel_format="yuv444p10le", times=(0, 40)).file()
    wanted = finished(next(clip(source).frames()), "apng")

    found = next(clip(result(source, "apng")).frames())

    visible = wanted[..., 3] > 0
    assert found.alpha is not None
    assert np.array_equal(found.alpha, wanted[..., 3])
    assert np.array_equal(found.rgb[visible], wanted[..., :3][visible])


@pytest.mark.parametrize("format", ["webm", "mov-prores", "mp4"])
def test_colour_tags_are_written(format: VideoFormat):
    """BT.2020 and PQ of an HDR clip; players need them."""
    source = Clip(pixel_format="yuv420p10le", tags=(9, 16, 9), times=(0, 40)).file()

    tags = clip(result(source, format)).facts.tags

    assert (tags.primaries, tags.transfer, tags.matrix, tags.is_full_range) == (9, 16, 9, False)


@pytest.mark.parametrize("format", ["webm", "mov-prores", "mov-qtrle", "mp4", "alpha"])
def test_pixel_aspect_is_written(format: VideoFormat):
    """DV and old broadcasts have no square pixels."""
    source = Clip(aspect=Fraction(4, 3), times=(0, 40)).file()

    assert clip(result(source, format)).facts.pixel_aspect == Fraction(4, 3)


def test_colours_survive_the_way_through():
    """Read with one matrix and written with it again: the same colour."""
    source = Clip("ffv1", "matroska", pixel_format="bgr0", size=(64, 64), times=(0, 40)).file()
    before = next(clip(source).frames()).rgb

    after = next(clip(result(source, "mp4", encoding=Encoding(quality=100))).frames()).rgb

    assert np.abs(before[:20].astype(int) - after[:20]).max() <= 4


@pytest.mark.parametrize("format", ["apng", "webp"])
def test_loops_of_an_animation_are_kept(format: VideoFormat):
    """A GIF that is shown three times becomes a picture that is shown three times."""
    out = BytesIO()
    images = [Image.new("RGB", (20, 10), (90 * n, 0, 0)) for n in range(3)]
    images[0].save(out, "GIF", save_all=True, append_images=images[1:], duration=50, loop=2)

    made = clip(result(out.getvalue(), format))

    assert made.facts.loops == 3
    assert seconds_of(made) == [0, 0.05, 0.1]


def test_last_duration_is_kept():
    """A GIF's last picture is often shown longest."""
    out = BytesIO()
    images = [Image.new("RGB", (20, 10), (90 * n, 0, 0)) for n in range(3)]
    images[0].save(
        out, "GIF", save_all=True, append_images=images[1:], duration=[50, 50, 2000], loop=0
    )

    for format in ("apng", "webp", "mov-qtrle", "webm"):
        made = clip(result(out.getvalue(), format))
        *_, last = made.frames()
        assert last.duration * made.facts.time_base == 2


def test_sequence_says_when_each_picture_is_shown():
    """A zip of numbered PNGs, and their times."""
    with ZipFile(BytesIO(result(SOURCE, "png-sequence"))) as archive:
        names, table = archive.namelist(), archive.read("times.csv").decode()

    assert names == [*(f"{n:06d}.png" for n in range(5)), "times.csv"]
    assert table.splitlines()[:3] == [
        "file,seconds,duration",
        "000000.png,0.000000,0.015000",
        "000001.png,0.015000,0.285000",
    ]


@pytest.mark.parametrize("format", ["apng", "webp"])
def test_wholly_transparent_frames_are_frames(format: VideoFormat):
    """Nothing is in the picture for a while; its time passes all the same."""
    facts, out, segment = facts_of((40, 30)), BytesIO(), BytesIO()
    writer = SegmentWriter(segment, format, facts)
    for n in range(3):
        pixels = np.zeros((30, 40, 4), np.uint8)
        pixels[5:9, 11:17] = (200, 10, 10, 255) if n == 2 else 0
        writer.add(frame(n, pixels), pixels)
    writer.close()
    join([segment], out, format=format, facts=facts)

    made = list(clip(out.getvalue()).frames())

    assert [int((one.alpha > 0).sum()) for one in made if one.alpha is not None] == [0, 0, 24]


@pytest.mark.parametrize("format", ["apng", "webp"])
def test_another_decoder_sees_the_same_animation(format: VideoFormat):
    """Pillow's libpng and libwebp: as many frames, as long, and the same alpha."""
    reader = clip(SOURCE)
    wanted = [finished(one, format) for one in reader.frames()]

    with Image.open(BytesIO(result(SOURCE, format, length=2))) as image:
        assert image.n_frames == len(wanted)  # type: ignore[attr-defined]
        for number, pixels in enumerate(wanted):
            image.seek(number)
            found = np.asarray(image.convert("RGBA"))
            assert np.array_equal(found[..., 3], pixels[..., 3])
            assert image.info["duration"] == [15, 285, 11, 589, 40][number]


def facts_of(size: tuple[int, int], **others: object) -> ClipFacts:
    """Of a clip of this size, in milliseconds."""
    return ClipFacts(
        kind="mkv",
        width=size[0],
        height=size[1],
        frames=None,
        seconds=None,
        rate=Fraction(25),
        time_base=MS,
        **others,  # type: ignore[arg-type]
    )


def frame(number: int, pixels: NDArray[np.uint8]) -> Frame:
    """One of 40 ms."""
    return Frame(number, number * 40, 40, pixels[..., :3])


def test_frames_closer_than_a_millisecond_stay_apart():
    """WebM cannot say when; no frame is lost."""
    facts, segment, out = facts_of((32, 32)), BytesIO(), BytesIO()
    facts = ClipFacts(
        **{name: getattr(facts, name) for name in ClipFacts.__slots__}
        | {"time_base": Fraction(1, 4000), "rate": Fraction(1000)}
    )
    writer = SegmentWriter(segment, "webm", facts)
    for n in range(6):
        pixels = pattern(n, 32, 32)
        writer.add(Frame(n, n, 1, pixels[..., :3]), pixels)
    writer.close()
    join([segment], out, format="webm", facts=facts)

    assert seconds_of(clip(out.getvalue())) == pytest.approx([n / 1000 for n in range(6)])


def test_webm_larger_than_vp9_is_refused():
    """With the limit, before anything is encoded."""
    pixels = np.zeros((1, 16_384, 4), np.uint8)

    with pytest.raises(ImageError, match="16383"):
        SegmentWriter(BytesIO(), "webm", facts_of((16_384, 1))).add(frame(0, pixels), pixels)


def test_absent_encoder_is_named():
    """With what to do about it."""
    with pytest.raises(EncoderMissing, match=r"webm needs the encoder libnothing.*pip install"):
        av_library.require_encoder("libnothing", purpose="output.video.format: webm")


def whole_segment() -> bytes:
    """Five frames."""
    return segments_of(clip(SOURCE), "mov-qtrle")[0].getvalue()


def test_whole_segment_says_its_frames():
    """What is resumed asks it."""
    assert count_frames(BytesIO(whole_segment())) == 5


@pytest.mark.parametrize("kept", [0, 5, 20, 400, -1])
def test_cut_segment_is_found(kept: int):
    """It was being written when the power failed."""
    with pytest.raises(FileError):
        count_frames(BytesIO(whole_segment()[:kept]))


@pytest.mark.parametrize("at", [20, 300, 2000, -3])
def test_altered_segment_is_found(at: int):
    """One bit is enough."""
    content = bytearray(whole_segment())
    content[at] ^= 4

    with pytest.raises(FileError):
        count_frames(BytesIO(bytes(content)))


def test_segment_with_more_behind_it_is_found():
    """An old, longer file lay there."""
    with pytest.raises(FileError):
        count_frames(BytesIO(whole_segment() + b"\0"))


def test_segments_of_different_kinds_are_not_joined():
    """The settings were changed between the two."""
    reader = clip(SOURCE)
    segments = [
        *segments_of(reader, "webm", encoding=Encoding(quality=50)),
        *segments_of(reader, "webm", encoding=Encoding(quality=60)),
    ]

    with pytest.raises(FileError, match="different"):
        join(segments, BytesIO(), format="webm", facts=reader.facts)


@pytest.mark.parametrize(
    ("format", "facts", "words"),
    [
        ("webm", {"bits": 10}, ["8"]),
        ("mov-prores", {"bits": 10}, []),
        ("mp4", {"bits": 12, "has_sound": True}, ["10"]),
        ("apng", {"has_sound": True, "pixel_aspect": Fraction(4, 3)}, ["sound", "square"]),
        ("webp", {"tags": Tags(9, 16, 9), "bits": 10}, ["8", "HDR"]),
        ("mov-qtrle", {"pixel_aspect": Fraction(4, 3), "has_sound": True}, []),
        ("alpha", {"has_sound": True}, ["sound"]),
        ("mp4", {"width": 33}, ["even"]),
    ],
)
def test_what_a_format_cannot_keep_is_said(
    format: VideoFormat, facts: dict[str, object], words: list[str]
):
    """A person may choose another format."""
    said = losses(format, replace(facts_of((32, 32)), **facts))  # type: ignore[arg-type]

    assert len(said) == len(words)
    assert all(word in one for word, one in zip(words, said, strict=True))
