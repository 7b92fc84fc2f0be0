"""Clips that are damaged, hostile or none: frames, or an error of ours that says why."""

import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import av
import pytest

from cvunet.errors import ClipDamagedError, ImageError
from cvunet.video.clips import ClipLimits, Frame
from cvunet.video.opening import opened, refuse
from cvunet.video.reading import ClipReader, open_clip
from cvunet.video.streams import WindowMaker
from tests.video.clips_kit import MS, Clip, clip, pattern, tone
from tests.video.test_signatures import animated

pytestmark = pytest.mark.video

LONG = tuple(range(0, 4000, 40))
SOURCES = {
    "mp4": Clip(size=(320, 240), times=LONG, options={"crf": "10"}),
    "mkv": Clip(container="matroska", size=(320, 240), times=LONG, options={"crf": "10"}),
    "webm": Clip("libvpx-vp9", "webm", size=(160, 120), times=LONG[:50]),
    "fragmented": Clip(
        size=(320, 240),
        times=LONG,
        options={"g": "10"},
        container_options={"movflags": "frag_keyframe+empty_moov"},
    ),
    "avi": Clip("mpeg4", "avi", times=LONG, time_base=MS * 40),
}


def read(reader: ClipReader) -> tuple[list[Frame], ClipDamagedError | None]:
    """All frames that come, and why no more do."""
    frames = []
    try:
        for frame in reader.frames():
            frames.append(frame)
    except ClipDamagedError as error:
        return frames, error
    return frames, None


@pytest.mark.parametrize("name", ["mp4", "mkv", "webm"])
def test_clip_comes_out_up_to_its_damage(name: str):
    """With the number and the time of the first frame that is missing."""
    file = bytearray(SOURCES[name].file())
    middle = len(file) // 2
    file[middle : middle + 600] = bytes(600)

    frames, error = read(clip(bytes(file)))

    assert error is not None
    assert 5 < len(frames) < 99
    assert error.frames == len(frames)
    assert error.seconds == pytest.approx(len(frames) / 25)
    assert f"frame {len(frames)}" in str(error)


@pytest.mark.parametrize("name", ["mkv", "webm", "fragmented", "avi"])
def test_clip_that_was_cut_off_is_not_taken_for_whole(name: str):
    """A transfer was interrupted."""
    file = SOURCES[name].file()

    frames, error = read(clip(file[: len(file) // 2]))

    assert error is not None
    assert 5 < len(frames) < 95


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_animation_that_was_cut_off_is_not_taken_for_whole(kind: str):
    """The same for pictures that move."""
    file = animated(kind, 20, duration=50)

    frames, error = read(clip(file[: len(file) * 3 // 4]))

    assert error is not None
    assert 5 < len(frames) < 20


@pytest.mark.parametrize("name", [*SOURCES, "GIF", "PNG", "WEBP", "AVIF"])
def test_whole_clip_is_not_taken_for_damaged(name: str):
    """No false alarm."""
    file = animated(name, 5, duration=50) if name.isupper() else SOURCES[name].file()

    _, error = read(clip(file))

    assert error is None


@pytest.mark.parametrize("junk", [b"\r\n", b"\0" * 100, b"x" * 80, b"made by a camera" * 9])
@pytest.mark.parametrize("name", ["mp4", "mkv", "avi", "GIF", "PNG", "WEBP", "AVIF"])
def test_bytes_behind_the_end_are_no_damage(name: str, junk: bytes):
    """A mail program's line end, a camera's note: all frames are there."""
    file = animated(name, 5, duration=50) if name.isupper() else SOURCES[name].file()

    frames, error = read(clip(file + junk))

    assert error is None
    assert len(frames) == (5 if name.isupper() else 100)


@pytest.mark.parametrize("kept", [0.5, 0.8])
def test_clip_without_its_index_says_so(kept: float):
    """A camera lost its power before it wrote moov."""
    file = Clip(times=LONG).file()

    with pytest.raises(ImageError, match="cut off"):
        clip(file[: int(len(file) * kept)])


def test_damage_that_is_resumed_is_the_same():
    """The frames before `first` count all the same."""
    file = bytearray(SOURCES["mp4"].file())
    file[len(file) // 2 :][:600] = bytes(600)
    middle = len(file) // 2
    file[middle : middle + 600] = bytes(600)
    reader = clip(bytes(file))
    with pytest.raises(ClipDamagedError) as whole:
        list(reader.frames())

    with pytest.raises(ClipDamagedError) as part:
        list(reader.frames(first=20))

    assert part.value.frames == whole.value.frames


def test_sound_without_pictures_is_refused():
    """M4A with the brand of mp4, a podcast."""
    out = BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream: Any = container.add_stream("aac", rate=48_000, layout="stereo")
        for frame in (*tone("fltp", 0.2, 0, stream), None):
            container.mux(stream.encode(frame))

    with pytest.raises(ImageError, match="no moving picture"):
        clip(out.getvalue())


def test_clip_without_frames_is_refused():
    """A header, and nothing behind it."""
    file = Clip("libvpx", "webm", times=(0, 40)).file()
    cluster = file.index(b"\x1f\x43\xb6\x75")

    with pytest.raises(ImageError):
        clip(file[:cluster])


def test_protected_clip_is_refused_by_name():
    """Its frames would be noise."""
    key = "00112233445566778899aabbccddeeff"
    options = {
        "encryption_scheme": "cenc-aes-ctr",
        "encryption_key": key,
        "encryption_kid": key,
    }

    with pytest.raises(ImageError, match="DRM"):
        clip(Clip(container_options=options).file())


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({"max_pixels": 96 * 64 - 1}, "pixels"),
        ({"max_minutes": 0.005}, "minutes"),
        ({"max_frames": 9}, "frames"),
    ],
)
def test_too_large_clip_is_refused_by_its_header(limits: dict[str, float], why: str):
    """Before anything is decoded."""
    with pytest.raises(ImageError, match=why):
        clip(Clip().file(), **limits)


def test_limit_holds_although_the_header_says_nothing():
    """Matroska need not say how many frames there are."""
    reader = clip(Clip(container="matroska").file(), max_frames=5)

    with pytest.raises(ImageError, match="more than 5 frames"):
        list(reader.frames())


def test_huge_frames_are_refused_before_they_are_decoded():
    """16000x16000 pixels in two kilobytes: a bomb."""
    file = Clip("qtrle", "mov", size=(64, 64), pixel_format="rgb24", times=(0,)).file()
    at = file.index(b"rle ") + 28
    assert file[at : at + 4] == b"\0\x40\0\x40"
    bomb = file[:at] + (16_000).to_bytes(2, "big") * 2 + file[at + 4 :]

    with pytest.raises(ImageError, match="million"):
        clip(bomb)


def test_rare_codec_is_refused_by_name():
    """Decoders that nobody uses are not reached."""
    file = Clip("zmbv", "avi", pixel_format="bgr0", time_base=MS * 40).file()

    with pytest.raises(ImageError, match="zmbv"):
        clip(file)


@pytest.mark.parametrize(
    "text",
    [
        b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"<?xml version='1.0'?><MPD><BaseURL>file:///etc/passwd</BaseURL></MPD>",
    ],
)
def test_lists_of_files_are_never_followed(text: bytes):
    """Not even if they are taken for a clip: the demuxer is chosen here."""
    window = WindowMaker(BytesIO(text))

    for kind in ("mp4", "mkv", "avi", "gif"):
        with pytest.raises(ImageError), opened(window(), kind, max_pixels=10**6):
            pass


def test_reference_to_another_file_is_not_followed():
    """A mov whose data lie elsewhere, by its box `dref`: no file is opened."""
    file = Clip(container="mov").file()
    at = file.index(b"url \0\0\0\1")
    outside = file[: at + 4] + b"\0\0\0\0" + file[at + 8 :]
    before = set(Path("/proc/self/fd").iterdir())

    frames, _ = read(clip(outside))

    assert set(Path("/proc/self/fd").iterdir()) <= before
    assert len(frames) in (0, 10)


def test_every_attempt_to_open_something_is_refused():
    """The last of the three bolts."""
    with pytest.raises(PermissionError):
        refuse("http://example.com/", 0, {})


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("good", [0, 1, 40, 100_000])
def test_trouble_of_the_disk_is_not_the_clips_fault(name: str, good: int):
    """The clip may be fine: `OSError` passes, whatever libav makes of it."""
    file = SOURCES[name].file()

    class Failing(BytesIO):
        """A disk that fails behind some bytes."""

        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > min(good, len(file) * 2 // 3):
                raise OSError(5, "Input/output error")
            return super().read(size)

    with pytest.raises(OSError, match="Input/output"):
        list(open_clip(Failing(file), limits=ClipLimits()).frames())


def test_leading_frames_without_a_key_are_left_out():
    """A clip that was cut without a care begins with frames that nothing can decode."""
    source = Clip(container="matroska", times=LONG, options={"g": "25", "sc_threshold": "0"}).file()
    out = BytesIO()
    with av.open(BytesIO(source), "r") as given, av.open(out, "w", format="matroska") as made:
        stream = made.add_stream_from_template(given.streams.video[0], opaque=True)
        for number, packet in enumerate(given.demux(video=0)):
            if packet.size and number >= 10:
                packet.stream = stream
                made.mux(packet)

    frames, error = read(clip(out.getvalue()))

    assert error is None
    assert len(frames) == 75
    assert abs(int(frames[0].rgb[50, 0, 0]) - int(pattern(25, 1, 1)[0, 0, 0])) < 12


@pytest.mark.parametrize("frames", [2, 30])
def test_thousand_frames_a_second_keep_their_times(frames: int):
    """A high-speed camera."""
    reader = clip(Clip(times=tuple(range(frames))).file())

    assert [one.pts * reader.facts.time_base for one in reader.frames()] == [
        n * MS for n in range(frames)
    ]


def test_library_is_named_if_it_is_missing():
    """Everything else of the package loads without it."""
    program = (
        "import sys; sys.modules['av'] = None\n"
        "import cvunet.video.reading, cvunet.video.writing, cvunet.video.joining\n"
        "from cvunet.errors import VideoMissing\n"
        "from cvunet.video.av_library import load\n"
        "try:\n    load()\nexcept VideoMissing as error:\n    print(error)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "pip install 'cvunet-daemon[video]'" in done.stdout


@pytest.mark.parametrize("name", ["mkv", "webm", "avi"])
def test_huge_file_of_nothing_takes_no_time(name: str, tmp_path: Path):
    """4 GB, most of it zeros: what is behind the last frame is not searched to its end."""
    path = tmp_path / "clip"
    file = SOURCES[name].file()
    with path.open("wb") as made:
        made.write(file[: len(file) * 7 // 10])
        made.truncate(4 << 30)

    with path.open("rb") as stream:
        counted = CountedReads(stream)
        with pytest.raises(ImageError):
            list(open_clip(counted, limits=ClipLimits()).frames())

    assert counted.bytes < 512 << 20


class CountedReads:
    """A stream that counts what is read of it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell
        self.bytes = 0

    def read(self, size: int, /) -> bytes:
        """As a file's."""
        content = self._stream.read(size)
        self.bytes += len(content)
        return content
