"""Frames of clips: how many, when, how they lie, what their levels are."""

from fractions import Fraction
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cvunet.errors import ImageError
from cvunet.video.clips import ClipLimits
from cvunet.video.reading import open_clip
from cvunet.video.upright import turn_of
from tests.video.clips_kit import MS, Clip, clip, pattern, seconds_of, shown
from tests.video.test_signatures import animated

pytestmark = pytest.mark.video

UNEVEN = (0, 5, 300, 301, 900)
EVERY = {
    "mp4": Clip(),
    "mp4 with B frames": Clip(options={"bf": "3"}),
    "fragmented mp4": Clip(container_options={"movflags": "frag_keyframe+empty_moov"}),
    "mov": Clip("prores_ks", "mov", pixel_format="yuv422p10le"),
    "mkv": Clip("ffv1", "matroska", pixel_format="bgra"),
    "webm": Clip("libvpx-vp9", "webm"),
    "avi": Clip("mpeg4", "avi", time_base=MS * 40),
    "apng": Clip("apng", "apng", pixel_format="rgba"),
}


@pytest.mark.parametrize("name", EVERY)
def test_each_frame_comes_once_at_its_time(name: str):
    """Ten frames, 25 a second."""
    assert seconds_of(clip(EVERY[name].file())) == pytest.approx([n / 25 for n in range(10)])


@pytest.mark.parametrize("name", ["mp4", "mkv", "webm"])
def test_variable_rate_is_kept(name: str):
    """To the millisecond, and exactly where the container can say it."""
    made = EVERY[name]
    file = Clip(made.codec, made.container, times=UNEVEN, pixel_format=made.pixel_format).file()

    assert seconds_of(clip(file)) == pytest.approx([time / 1000 for time in UNEVEN], abs=1e-9)


def test_pixels_are_those_of_the_source():
    """RGB, not BGR; the top is up."""
    frames = list(clip(EVERY["mkv"].file()).frames())

    assert [frame.index for frame in frames] == list(range(10))
    assert np.array_equal(frames[3].rgb, pattern(3, 96, 64)[..., :3])
    assert frames[3].alpha is not None
    assert np.array_equal(frames[3].alpha, pattern(3, 96, 64)[..., 3])


def test_later_frames_are_the_same_without_those_before():
    """What is resumed sees the frames that it would have seen."""
    reader = clip(Clip(options={"bf": "2"}).file())
    whole = list(reader.frames())

    part = list(reader.frames(first=6))

    assert [one.index for one in part] == [6, 7, 8, 9]
    assert [one.pts for one in part] == [one.pts for one in whole[6:]]
    assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(part, whole[6:], strict=True))


def test_two_readers_of_one_stream_do_not_disturb_each_other():
    """Pictures and sound are read at the same time."""
    reader = clip(Clip().file())

    pairs = list(zip(reader.frames(), reader.frames(), strict=True))

    assert len(pairs) == 10
    assert all(np.array_equal(one.rgb, other.rgb) for one, other in pairs)


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_frames_come_upright(rotation: int):
    """As a phone's clip is shown; libav's angle is counter-clockwise."""
    plain = next(clip(Clip("qtrle", "mov", pixel_format="rgb24").file()).frames())
    reader = clip(Clip("qtrle", "mov", pixel_format="rgb24", rotation=rotation).file())

    turned = next(reader.frames())

    assert np.array_equal(turned.rgb, np.rot90(plain.rgb, rotation // 90))
    assert (reader.facts.height, reader.facts.width) == turned.rgb.shape[:2]


def test_pixel_aspect_turns_with_the_frame():
    """Wide pixels become tall ones."""
    assert clip(Clip(aspect=Fraction(4, 3)).file()).facts.pixel_aspect == Fraction(4, 3)
    turned = clip(Clip(aspect=Fraction(4, 3), rotation=90).file())
    assert turned.facts.pixel_aspect == Fraction(3, 4)


@pytest.mark.parametrize(("mirrored", "swapped"), [*product((1, -1), (False, True))])
def test_every_matrix_of_eight_is_applied(mirrored: int, swapped: bool):
    """Mirrored recordings exist: front cameras."""
    one, pixels = 1 << 16, np.arange(6).reshape(2, 3)
    matrix = (0, one, 0, mirrored * one, 0) if swapped else (mirrored * one, 0, 0, 0, one)

    turned = turn_of((*matrix, 0, 0, 0, one)).apply(pixels)

    expected = pixels.T if swapped else pixels
    assert np.array_equal(turned, expected[:, ::mirrored])


def test_angle_between_is_said():
    """Nobody stores 30°, but a file can."""
    turn = turn_of((56756, 32768, 0, -32768, 56756, 0, 0, 0, 1 << 30))

    assert not turn.is_exact
    assert np.array_equal(turn.apply(np.eye(2)), np.eye(2))


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_alpha_of_webm_is_decoded(codec: str):
    """libavcodec's own decoders of VP8 and VP9 drop it."""
    options = {"auto-alt-ref": "0", "crf": "4", "b": "2M"}
    reader = clip(Clip(codec, "webm", pixel_format="yuva420p", options=options).file())

    frame = next(reader.frames())

    assert reader.facts.has_alpha
    assert frame.alpha is not None
    assert np.abs(frame.alpha.astype(int) - pattern(0, 96, 64)[..., 3]).max() < 8


def test_alpha_of_prores_is_deep():
    """More than 8 bits come as 16, of full range."""
    options = {"profile": "4444", "alpha_bits": "16"}
    reader = clip(Clip("prores_ks", "mov", pixel_format="yuva444p10le", options=options).file())

    frame = next(reader.frames())

    assert frame.rgb.dtype == np.uint16
    assert frame.alpha is not None
    assert (frame.alpha.min(), frame.alpha.max()) == (0, 65_535)


def test_alpha_of_avif_is_a_stream_of_its_own():
    """The two are put together frame by frame."""
    frames = list(clip(animated("AVIF", 3, duration=50, quality=100)).frames())

    assert [int(one.alpha[0, 0]) for one in frames if one.alpha is not None] == [255, 254, 253]


def test_ten_bits_are_kept():
    """A level between two of 8 bits is still between them."""
    reader = clip(Clip("ffv1", "matroska", pixel_format="yuv444p10le").file())

    frame = next(reader.frames())

    assert (reader.facts.bits, frame.rgb.dtype.name) == (10, "uint16")
    assert abs(int(frame.rgb[0, 0, 2]) - 200 * 257) < 300


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_said(transfer: int, name: str):
    """And its tags are handed on."""
    facts = clip(Clip(pixel_format="yuv420p10le", tags=(9, transfer, 9)).file()).facts

    assert (facts.tags.primaries, facts.tags.transfer, facts.tags.matrix) == (9, transfer, 9)
    assert [one for one in facts.warnings if "HDR" in one and name in one]


@pytest.mark.parametrize("matrix", [1, 5, 6, 9])
def test_matrix_of_the_clip_is_used(matrix: int):
    """A green that is read with another matrix is another green."""
    source = np.full((32, 32, 3), (30, 200, 60), np.uint8)
    swscale = {6: 5}.get(matrix, matrix)
    frame = av.VideoFrame.from_ndarray(source, "rgb24").reformat(
        format="yuv444p", dst_colorspace=swscale
    )
    out = BytesIO()
    with av.open(out, "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width = stream.height = 32
        stream.pix_fmt, stream.codec_context.colorspace = "yuv444p", matrix
        frame.pts = 0
        container.mux([*stream.encode(frame), *stream.encode(None)])

    rgb = next(clip(out.getvalue()).frames()).rgb

    assert np.abs(rgb.astype(int) - source).max() <= 3


def test_interlaced_frames_are_made_whole():
    """As many frames, at the same times, without combs; and it is said."""
    made = Clip(size=(96, 64), interlaced=True, options={"x264-params": "tff=1"})
    reader = clip(made.file())

    assert seconds_of(reader) == pytest.approx([n / 25 for n in range(10)])
    assert [one for one in reader.facts.warnings if "interlaced" in one]


def test_combs_of_fields_are_gone():
    """A bar that moves six pixels from field to field has one edge in each row."""
    source = BytesIO()
    with av.open(source, "w", format="matroska") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        stream.codec_context.flags |= 1 << 18 | 1 << 29  # interlaced DCT and motion
        stream.codec_context.bit_rate = 4_000_000
        for n in range(8):
            pixels = np.zeros((64, 128, 3), np.uint8)
            pixels[0::2, n * 12 : n * 12 + 40] = 255
            pixels[1::2, n * 12 + 6 : n * 12 + 46] = 255
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="yuv420p")
            frame.pts = n
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    combed = [rgba for _, rgba in shown(source.getvalue(), "matroska")]

    whole = [frame.rgb for frame in clip(source.getvalue()).frames()]

    def combs(pixels: NDArray[Any]) -> float:
        rows = pixels[..., 0].astype(int)
        return float(np.abs(2 * rows[1:-1] - rows[:-2] - rows[2:]).mean())

    assert len(whole) == len(combed) == 8
    assert combs(whole[4]) < combs(combed[4]) / 3


def test_changed_size_is_scaled_to_the_first():
    """A recorded window was made larger; the result has one size."""
    reader = clip(growing())

    frames = list(reader.frames())

    assert [one.rgb.shape for one in frames] == [(64, 96, 3)] * 8
    assert [one for one in reader.warnings if "size" in one]


def growing() -> bytes:
    """Four frames of 96x64, then four of 128x128, in one stream of VP8."""
    out = BytesIO()
    with av.open(out, "w", format="webm") as container:
        stream = container.add_stream("libvpx", rate=25)
        stream.width, stream.height = 96, 64
        stream.codec_context.time_base = stream.time_base = MS
        for part, size in enumerate(((96, 64), (128, 128))):
            codec = av.CodecContext.create("libvpx", "w")
            codec.width, codec.height, codec.pix_fmt = *size, "yuv420p"
            codec.time_base, codec.options = MS, {"lag-in-frames": "0"}
            packets = []
            for n in range(4):
                frame = av.VideoFrame.from_ndarray(pattern(n, *size), "rgba").reformat(
                    format="yuv420p"
                )
                frame.pts, frame.time_base = (part * 4 + n) * 40, MS
                packets += codec.encode(frame)
            for packet in (*packets, *codec.encode(None)):
                packet.stream = stream
                container.mux(packet)
    return out.getvalue()


def test_edit_list_is_obeyed():
    """What lies before the beginning that an editor chose is not shown."""
    file = Clip(times=tuple(range(-120, 280, 40)), options={"bf": "0"}).file()

    assert len(seconds_of(clip(file))) == 7


def test_animated_webp_is_composed():
    """Its frames are parts of a canvas, blended or not."""
    base = Image.new("RGBA", (40, 30), (255, 0, 0, 255))
    second = base.copy()
    second.paste((0, 255, 0, 128), (10, 10, 21, 21))
    out = BytesIO()
    base.save(out, "WEBP", save_all=True, append_images=[second], duration=[70, 30], lossless=True)

    reader = clip(out.getvalue())
    frames = list(reader.frames())

    assert [one.pts for one in frames] == [0, 70]
    with Image.open(BytesIO(out.getvalue())) as image:
        for number, frame in enumerate(frames):
            image.seek(number)
            assert frame.alpha is not None
            rgba = np.dstack([frame.rgb, frame.alpha]).astype(int)
            assert np.abs(rgba - np.asarray(image.convert("RGBA"))).max() <= 1


def test_frames_may_be_written_to():
    """The decoder needs its own copy for the frames that follow."""
    file = Clip("qtrle", "mov", pixel_format="rgb24").file()
    wanted = [frame.rgb.copy() for frame in clip(file).frames()]

    for number, frame in enumerate(clip(file).frames()):
        assert np.array_equal(frame.rgb, wanted[number])
        frame.rgb[:] = 77


def test_frames_without_times_are_said():
    """Two packets at the same time: a broken recorder."""
    file = bytearray(Clip("qtrle", "mov", pixel_format="rgb24", times=(0, 40, 80)).file())
    at = file.index(b"stts") + 12
    assert file[at : at + 4] == (3).to_bytes(4, "big")
    file[at + 4 : at + 8] = bytes(4)
    reader = clip(bytes(file))

    assert len(seconds_of(reader)) == 3
    assert [one for one in reader.warnings if "no time" in one]


def test_recordings_that_were_put_together_are_shown_one_after_another():
    """Their times start again: the second one is no faster than the first."""
    one = Clip("libvpx", "webm", container_options={"live": "1"}).file()

    reader = clip(one + one)

    assert seconds_of(reader) == pytest.approx([n / 25 for n in range(20)])
    assert [said for said in reader.warnings if "start again" in said]


def test_endless_gif_is_refused():
    """More frames than a clip may have."""
    file = animated("GIF", 30, duration=20)

    with pytest.raises(ImageError, match="frames"):
        clip(file, max_frames=29)


def test_large_animated_webp_is_read_to_its_end():
    """Each frame is a find: 90 MB of them are not read in vain."""
    file = animated("WEBP", 3, duration=50)
    start = file.index(b"ANMF")
    end = start + 8 + int.from_bytes(file[start + 4 : start + 8], "little")
    junk = b"JUNK" + (3 << 20).to_bytes(4, "little") + bytes(3 << 20)
    frame = file[start + 8 : end] + junk
    frames = (b"ANMF" + len(frame).to_bytes(4, "little") + frame) * 30
    body = file[8:start] + frames

    reader = clip(b"RIFF" + len(body).to_bytes(4, "little") + body)

    assert sum(1 for _ in reader.frames()) == 30


def test_fonts_may_lie_before_the_first_frame(tmp_path: Path):
    """Those of subtitles: seventy megabytes, in which nothing else is found."""
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "bgr0"
        sound = container.add_stream("pcm_s16le", rate=48_000, layout="stereo")
        for number in range(7):
            name = f"{number}.ttf"
            container.add_attachment(name, "application/x-truetype-font", bytes(10_000_000))
        frame = av.VideoFrame.from_ndarray(pattern(1, 32, 32), "rgba").reformat(format="bgr0")
        container.mux(stream.encode(frame))
        heard = av.AudioFrame.from_ndarray(np.zeros((1, 96_000), np.int16), "s16", "stereo")
        heard.sample_rate = 48_000
        container.mux(sound.encode(heard))

    with path.open("rb") as opened:
        reader = open_clip(opened, limits=ClipLimits())
        assert seconds_of(reader) == [0]
        with reader.open_sound() as source:
            assert sum(packet.size for packet in source.packets()) == 192_000


def test_still_picture_may_have_much_sound(tmp_path: Path):
    """Two frames, and eighty megabytes of PCM between them."""
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "bgr0"
        stream.codec_context.time_base = stream.time_base = MS
        sound = container.add_stream("pcm_s16le", rate=48_000, layout="stereo")
        for second in range(430):
            if second in (0, 429):
                frame = av.VideoFrame.from_ndarray(pattern(1, 32, 32), "rgba").reformat(
                    format="bgr0"
                )
                frame.pts, frame.time_base = second * 1000, MS
                container.mux(stream.encode(frame))
            silence = np.zeros((1, 2 * 48_000), np.int16)
            heard = av.AudioFrame.from_ndarray(silence, "s16", "stereo")
            heard.sample_rate, heard.pts = 48_000, second * 48_000
            container.mux(sound.encode(heard))

    with path.open("rb") as opened:
        assert seconds_of(open_clip(opened, limits=ClipLimits())) == [0, 429]


def test_sound_is_noticed():
    """The facts say it before anything is decoded."""
    assert clip(Clip(sound="aac").file()).facts.has_sound
    assert not clip(Clip().file()).facts.has_sound


def test_what_is_not_kept_is_said():
    """Further sound tracks, subtitles and chapters."""
    out = BytesIO()
    with av.open(out, "w", format="matroska") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        for _ in range(2):
            container.add_stream("flac", rate=48_000, layout="mono")
        subtitles = container.add_mux_stream("subrip")
        container.set_chapters(
            [{"id": 1, "start": 0, "end": 200, "time_base": MS, "metadata": {"title": "first"}}]
        )
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 96, 3), np.uint8))
        container.mux([*video.encode(frame), *video.encode(None)])
        said = av.Packet(b"hello")
        said.pts = said.dts = 0
        said.duration, said.time_base, said.stream = 100, MS, subtitles
        container.mux(said)

    assert clip(out.getvalue()).facts.warnings == (
        "it has several sound tracks: only its main one is kept",
        "its subtitles are not kept",
        "its chapters are not kept",
    )


def test_late_first_frame_is_noticed():
    """Its sound begins half a second earlier."""
    facts = clip(Clip(sound="aac", times=tuple(range(500, 900, 40))).file()).facts

    assert facts.delay * facts.time_base == Fraction(1, 2)


def test_decoder_threads_change_nothing():
    """Only the time that it takes."""
    file = Clip(options={"bf": "2"}).file()
    several = open_clip(BytesIO(file), limits=ClipLimits(), threads=3)

    pairs = list(zip(clip(file).frames(), several.frames(), strict=True))

    assert len(pairs) == 10
    assert all(np.array_equal(one.rgb, other.rgb) for one, other in pairs)


def test_kit_decodes_what_it_encodes():
    """The tests' own decoder sees ten frames."""
    assert len(shown(Clip().file(), "mov")) == 10


def test_skipped_frames_are_told():
    """Who waits for the first one knows that the decoder gets on."""
    skipped: list[None] = []
    reader = clip(Clip().file())

    frames = list(reader.frames(7, on_skipped=lambda: skipped.append(None)))

    assert (len(skipped), [frame.index for frame in frames]) == (7, [7, 8, 9])
