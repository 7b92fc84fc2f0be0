"""What lies beside the pixels of a frame: PyAV cannot take all of it."""

import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from tests.video.clips_kit import Clip, clip, pattern

pytestmark = pytest.mark.video

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
COUNT = (
    "import sys; from pathlib import Path; from io import BytesIO\n"
    "from cvunet.video.clips import ClipLimits; from cvunet.video.reading import open_clip\n"
    "file = BytesIO(Path(sys.argv[1]).read_bytes())\n"
    "print([f.rgb.shape for f in open_clip(file, limits=ClipLimits()).frames()])"
)


def still(number: int, kind: str, **options: Any) -> bytes:
    """A picture of 96x64 pixels as a file, by Pillow."""
    out = BytesIO()
    Image.fromarray(pattern(number, 96, 64)[..., :3]).save(out, kind, **options)
    return out.getvalue()


def of_stills(files: Sequence[bytes], codec: str, container: str, rotation: int = 0) -> bytes:
    """A clip whose packets are these files, ten a second."""
    out = BytesIO()
    with av.open(out, "w", format=container) as made:
        stream: Any = made.add_stream(codec, rate=10)
        stream.width, stream.height = 96, 64
        stream.pix_fmt = "rgb24" if codec == "png" else "yuvj420p"
        if rotation:
            stream.set_display_rotation(rotation)
        for number, file in enumerate(files):
            packet = av.Packet(file)
            packet.stream, packet.time_base = stream, Fraction(1, 10)
            packet.pts = packet.dts = number
            packet.is_keyframe = True
            made.mux(packet)
    return out.getvalue()


def animation() -> bytes:
    """An animated PNG with a colour profile."""
    images = [Image.fromarray(pattern(n, 96, 64)) for n in range(4)]
    out = BytesIO()
    images[0].save(
        out, "PNG", save_all=True, append_images=images[1:], duration=100, icc_profile=PROFILE
    )
    return out.getvalue()


def test_profiles_of_pngs_do_not_end_the_process(tmp_path: Path):
    """PyAV frees the name of a PNG's profile twice; here in a process of its own."""
    stills = [still(n, "PNG", icc_profile=PROFILE) for n in range(4)]
    (tmp_path / "turned.mov").write_bytes(of_stills(stills, "png", "mov", 90))
    (tmp_path / "animated.png").write_bytes(animation())

    for name, shape in (("turned.mov", (96, 64, 3)), ("animated.png", (64, 96, 3))):
        line = [sys.executable, "-c", COUNT, str(tmp_path / name)]
        done = subprocess.run(line, capture_output=True, text=True, check=False)

        assert (done.returncode, done.stdout.strip()) == (0, str([shape] * 4)), done.stderr


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_pngs_in_a_mov_come_upright(rotation: int):
    """By the angle alone, because their matrix cannot be had."""
    file = of_stills([still(n, "PNG") for n in range(2)], "png", "mov", rotation)

    frame = next(clip(file).frames())

    assert np.array_equal(frame.rgb, np.rot90(pattern(0, 96, 64)[..., :3], rotation // 90))


def test_exif_in_frames_is_no_trouble():
    """A camera's Motion JPEG: PyAV knows no such kind of data. It says how the frame lies, too."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Canon"
    exif[ExifTags.Base.Orientation] = 6
    stills = [still(n, "JPEG", exif=exif, subsampling=2) for n in range(3)]

    shapes = [frame.rgb.shape for frame in clip(of_stills(stills, "mjpeg", "avi")).frames()]

    assert shapes == [(96, 64, 3)] * 3


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_webm_with_alpha_comes_upright(codec: str):
    """Its alpha is decoded by another decoder, which is not told how it lies."""
    made = Clip(
        codec,
        "webm",
        size=(160, 96),
        rotation=90,
        pixel_format="yuva420p",
        options={"auto-alt-ref": "0", "crf": "4", "b": "2M"},
    )
    reader = clip(made.file())

    frames = list(reader.frames())

    assert reader.facts.has_alpha
    assert [frame.rgb.shape for frame in frames] == [(160, 96, 3)] * 10
    assert frames[0].rgb[:, :40, 2].mean() > 150  # the blue half is the left one now
