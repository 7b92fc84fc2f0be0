"""Bytes changed at random: frames come out, or one of our own errors; nothing else, and soon."""

import time
from functools import cache
from io import BytesIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cvunet.errors import CvunetError, FileError
from cvunet.video.clips import ClipLimits
from cvunet.video.reading import open_clip
from cvunet.video.signatures import HEAD_BYTES, clip_kind, may_be_clip
from tests.video.clips_kit import MS, Clip, clip, count_frames, result, segments_of
from tests.video.test_signatures import animated

pytestmark = pytest.mark.video

TIMES = tuple(range(0, 480, 40))
LONGEST_S = 20
"""For one clip of twelve small frames, on a busy machine."""
LIMITS = ClipLimits(max_pixels=1_000_000, max_minutes=10, max_frames=1000)
SOURCES = {
    "mp4": Clip(times=TIMES, sound="aac", options={"bf": "2"}),
    "fragmented mp4": Clip(times=TIMES, container_options={"movflags": "frag_keyframe+empty_moov"}),
    "mov": Clip("qtrle", "mov", pixel_format="argb", times=TIMES, rotation=90),
    "mkv": Clip("ffv1", "matroska", pixel_format="yuv420p", times=TIMES, sound="flac"),
    "webm": Clip(
        "libvpx-vp9",
        "webm",
        pixel_format="yuva420p",
        times=TIMES,
        sound="libopus",
        options={"auto-alt-ref": "0", "lag-in-frames": "0"},
    ),
    "avi": Clip("mpeg4", "avi", time_base=MS * 40, times=TIMES, sound="pcm_s16le"),
    "hevc": Clip("libx265", "matroska", times=TIMES, options={"x265-params": "log-level=none"}),
}
PICTURES = ("GIF", "PNG", "WEBP", "AVIF")
CHANGE = st.tuples(
    st.floats(0, 1, exclude_max=True),
    st.sampled_from([b"\0", b"\xff", b"\x7f", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x80\0\0\0"])
    | st.binary(min_size=1, max_size=8),
)
FUZZ = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


@cache
def source(name: str) -> bytes:
    """A clip that is whole."""
    if name in PICTURES:
        return animated(name, 6, duration=50)
    return SOURCES[name].file()


def changed(file: bytes, changes: list[tuple[float, bytes]], head_only: bool, kept: float) -> bytes:
    """Some bytes replaced, mostly of the head, and the end gone."""
    made = bytearray(file)
    span = min(len(made), 1500) if head_only else len(made)
    for place, content in changes:
        at = int(place * span)
        made[at : at + len(content)] = content
    return bytes(made[: int(len(made) * kept)])


def try_to_read(file: bytes) -> None:
    """All frames, or an error of ours, within the time."""
    begin = time.process_time()  # a busy machine is no fault of the file
    try:
        for number, frame in enumerate(open_clip(BytesIO(file), limits=LIMITS).frames()):
            assert frame.rgb.size <= 3 * LIMITS.max_pixels
            assert number < LIMITS.max_frames
    except CvunetError as error:
        assert str(error)
    assert time.process_time() - begin < LONGEST_S


@pytest.mark.parametrize("name", [*SOURCES, *PICTURES])
@FUZZ
@given(
    changes=st.lists(CHANGE, max_size=6), head_only=st.booleans(), kept=st.sampled_from([1, 1, 0.6])
)
def test_changed_clip_gives_frames_or_our_error(
    name: str, changes: list[tuple[float, bytes]], head_only: bool, kept: float
):
    """Never another exception, never a crash, never endless."""
    try_to_read(changed(source(name), changes, head_only, kept))


@FUZZ
@given(st.binary(max_size=300), st.sampled_from([*SOURCES, *PICTURES]), st.integers(0, 40))
def test_any_bytes_have_an_answer(content: bytes, name: str, kept: int):
    """What is no clip is said to be none."""
    try_to_read(source(name)[:kept] + content)


@FUZZ
@given(st.binary(max_size=300), st.sampled_from([*SOURCES, *PICTURES]), st.integers(0, 40))
def test_head_never_denies_a_clip(content: bytes, name: str, kept: int):
    """What `clip_kind` knows, its first bytes have let through."""
    file = source(name)[:kept] + content

    assert clip_kind(BytesIO(file)) is None or may_be_clip(file[:HEAD_BYTES])


@FUZZ
@given(changes=st.lists(CHANGE, min_size=1, max_size=3), kept=st.sampled_from([1, 0.9]))
def test_changed_segment_is_never_taken(changes: list[tuple[float, bytes]], kept: float):
    """It is whole to the bit, or an error."""
    whole = a_segment()
    file = changed(whole, changes, False, kept)

    if file == whole:
        assert count_frames(BytesIO(file)) == 12
        return
    with pytest.raises(FileError):
        count_frames(BytesIO(file))


@cache
def a_segment() -> bytes:
    """Of twelve frames."""
    return segments_of(clip(source("mp4")), "mov-qtrle")[0].getvalue()


@pytest.mark.parametrize(("name", "format"), [("mp4", "webm"), ("mkv", "mp4"), ("webm", "webm")])
@settings(FUZZ, max_examples=15)
@given(changes=st.lists(CHANGE, min_size=1, max_size=6), head_only=st.booleans())
def test_changed_sound_costs_the_sound_at_most(
    name: str, format: str, changes: list[tuple[float, bytes]], head_only: bool
):
    """Copied or encoded: the pictures come out, or one of our errors."""
    file = changed(source(name), changes, head_only, 1)

    try:
        made = result(file, format)  # type: ignore[arg-type]
    except CvunetError:
        return
    assert clip_kind(BytesIO(made)) is not None


@pytest.mark.parametrize("format", ["webm", "apng", "webp", "mov-prores"])
def test_own_results_can_be_read(format: str):
    """A result that is put into the folder again is a clip as any other."""
    try_to_read(result(source("mp4"), format))  # type: ignore[arg-type]
