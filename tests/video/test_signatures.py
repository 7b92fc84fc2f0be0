"""What a clip is, by its content alone."""

import struct
from io import BytesIO

import pytest
from PIL import Image

from cvunet.video import chunks
from cvunet.video.clips import ClipKind
from cvunet.video.signatures import HEAD_BYTES, clip_kind, may_be_clip
from tests.video.clips_kit import MS, Clip

pytestmark = pytest.mark.video

CLIPS: dict[ClipKind, Clip] = {
    "mp4": Clip(times=(0, 40)),
    "mov": Clip(container="mov", times=(0, 40)),
    "mkv": Clip(container="matroska", times=(0, 40)),
    "webm": Clip("libvpx", "webm", times=(0, 40)),
    "avi": Clip("mpeg4", "avi", times=(0, 40), time_base=MS * 40),
}


def animated(kind: str, frames: int, **options: object) -> bytes:
    """A picture of so many frames, by Pillow."""
    images = [Image.new("RGBA", (20, 10), (9 * n, 0, 0, 255 - n)) for n in range(frames)]
    out = BytesIO()
    images[0].save(out, kind, save_all=True, append_images=images[1:], **options)
    return out.getvalue()


PICTURES: dict[ClipKind, str] = {"gif": "GIF", "webp": "WEBP", "apng": "PNG", "avif": "AVIF"}


@pytest.mark.parametrize("kind", CLIPS)
def test_container_is_known(kind: ClipKind):
    """By its first bytes, whatever it is called."""
    file = CLIPS[kind].file()

    assert clip_kind(BytesIO(file)) == kind
    assert may_be_clip(file[:HEAD_BYTES])


@pytest.mark.parametrize("kind", PICTURES)
def test_animated_picture_is_a_clip(kind: ClipKind):
    """Two frames are enough."""
    file = animated(PICTURES[kind], 2, duration=50)

    assert clip_kind(BytesIO(file)) == kind
    assert may_be_clip(file[:HEAD_BYTES])


@pytest.mark.parametrize("kind", PICTURES)
def test_one_frame_is_a_picture(kind: ClipKind):
    """A GIF of one frame goes the way of pictures."""
    assert clip_kind(BytesIO(animated(PICTURES[kind], 1))) is None


def test_apng_of_one_frame_is_a_picture():
    """acTL alone does not make it move."""
    file = animated("PNG", 2)
    at = file.index(b"acTL")
    one = file[: at + 4] + struct.pack(">I", 1) + file[at + 8 :]

    assert clip_kind(BytesIO(one)) is None


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"\0" * 100,
        b"#EXTM3U\nhttp://example.com/a.ts\n",
        b"ffconcat version 1.0\nfile a.mp4\n",
        b"GIF89a",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\0\0\0\0WEBP",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"\x1a\x45\xdf\xa3",
        b"\x1a\x45\xdf\xa3\x8b\x42\x82\x88something",
        b"\0\0\0\x1cftypM4A \0\0\0\0M4A mp42isom",
        b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf",
        b"\0\0\0\x1cftypheic\0\0\0\0mif1heic\0\0\0\0",
        b"readmoov, said the letter",
        b"\xff\xd8\xff\xe0" + b"\0" * 60,
    ],
)
def test_other_content_is_no_clip(file: bytes):
    """Pictures, sound, playlists, text and heads without a body."""
    assert clip_kind(BytesIO(file)) is None


def test_old_mov_has_no_brands():
    """QuickTime of before 2001 begins with its index or its data."""
    assert clip_kind(BytesIO(b"\0\0\0\x08wide\0\0\x10\0mdat" + b"\0" * 50)) == "mov"


def test_stream_is_left_at_its_start():
    """The next reader begins at the beginning."""
    stream = BytesIO(animated("GIF", 3))

    clip_kind(stream)

    assert stream.tell() == 0


@pytest.mark.parametrize(("times", "loops"), [(0, 0), (1, 2), (5, 6)])
def test_gif_says_how_often_it_is_repeated(times: int, loops: int):
    """It is shown once more than it is repeated; 0 is for ever."""
    assert chunks.gif_loops(BytesIO(animated("GIF", 2, loop=times))) == loops


def test_gif_without_loops_is_shown_once():
    """As browsers do."""
    assert chunks.gif_loops(BytesIO(animated("GIF", 2))) == 1


class Counting(BytesIO):
    """A file that counts how often it is read."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """As usual."""
        self.reads += 1
        return super().read(size)


@pytest.mark.parametrize("block", [b"\x01\0", b"\0\x21\xfe"])
def test_gif_of_millions_of_blocks_is_read_to_its_limit(block: bytes):
    """The daemon asks in its own thread: 32 MB of the smallest blocks took it ten seconds."""
    head = b"GIF89a\1\0\1\0\0\0\0" + b"\x21\xfe"
    file = Counting(head + block * (10 * chunks.MOST_BLOCKS))

    assert not chunks.has_two_gif_frames(file)
    assert file.reads <= 3 * chunks.MOST_BLOCKS + 9


def test_large_gif_is_read_to_its_limit():
    """A first frame without an end does not keep the daemon busy."""
    head = b"GIF89a\1\0\1\0\0\0\0\x2c\0\0\0\0\1\0\1\0\0\2"
    file = BytesIO(head + (b"\xff" + b"\0" * 255) * (chunks.MOST_BYTES // 256 + 1000))

    assert clip_kind(file) is None
