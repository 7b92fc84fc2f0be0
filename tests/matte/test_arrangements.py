"""Cut-outs that are arranged: each part of the wish, by its pixels."""

import io
import json
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cvunet.matte import arrangements
from cvunet.matte.arrangements import THRESHOLD, Arrangement, Length, arrange
from cvunet.matte.extent import subject_rectangle
from cvunet.pictures import png, signatures

WIDTH, HEIGHT = 40, 30
BOX = (10, 6, 8, 12)  # of the subject: left, top, width, height
RED = (200, 30, 30)


def cutout() -> Any:
    """A red subject on nothing."""
    rgba = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    left, top, width, height = BOX
    rgba[top : top + height, left : left + width] = (*RED, 255)
    return rgba


def px(*values: float) -> Any:
    """Lengths in pixels."""
    return tuple(Length(value, is_share=False) for value in values)


def share(*values: float) -> Any:
    """Lengths in shares."""
    return tuple(Length(value, is_share=True) for value in values)


@pytest.mark.parametrize(
    ("wanted", "size", "box"),
    [
        (Arrangement(), (WIDTH, HEIGHT), BOX),
        (Arrangement(roi=px(0, 0, 14, 30)), (WIDTH, HEIGHT), (10, 6, 4, 12)),
        (Arrangement(roi=share(0.25, 0, 1, 0.4)), (WIDTH, HEIGHT), (10, 6, 8, 6)),
        (Arrangement(margins=px(1, 2, 3, 4)), (14, 16), (4, 1, 8, 12)),
        (Arrangement(margins=share(0.5, 0.25, 0, 0)), (10, 18), (0, 6, 8, 12)),
        (Arrangement(margins=px(100, 0, 0, 0)), (8, 112), (0, 100, 8, 12)),
        (Arrangement(position=(0.0, 0.0)), (WIDTH, HEIGHT), (0, 0, 8, 12)),
        (Arrangement(position=(1.0, 0.5)), (WIDTH, HEIGHT), (32, 9, 8, 12)),
        (Arrangement(scale=1.0, position=(0.5, 0.5)), (WIDTH, HEIGHT), (10, 0, 20, 30)),
        (Arrangement(scale=0.2, position=(0.0, 1.0)), (WIDTH, HEIGHT), (0, 24, 4, 6)),
        (Arrangement(scale=0.2), (WIDTH, HEIGHT), (12, 9, 4, 6)),
        (Arrangement(max_pixels=300), (20, 15), (5, 3, 4, 6)),
    ],
)
def test_where_the_subject_is(
    wanted: Arrangement, size: tuple[int, int], box: tuple[int, int, int, int]
):
    """In the result, as the headers tell it."""
    found = arrange(cutout(), wanted)

    assert found.shape == (size[1], size[0], 4)
    assert subject_rectangle(found, threshold=THRESHOLD) == box


def test_a_region_without_the_subject_leaves_nothing():
    """Neither crop nor scale changes what is empty."""
    found = arrange(cutout(), Arrangement(roi=px(0, 0, 5, 5), margins=px(1, 1, 1, 1), scale=0.5))

    assert subject_rectangle(found, threshold=THRESHOLD) is None
    assert found.shape == (HEIGHT, WIDTH, 4)


@given(
    scale=st.floats(0.1, 1) | st.none(),
    position=st.tuples(st.floats(0, 1), st.floats(0, 1)) | st.none(),
)
def test_the_subject_stays_in_the_picture(
    scale: float | None, position: tuple[float, float] | None
):
    """Wherever it is put, nothing of it is cut off."""
    found = arrange(cutout(), Arrangement(scale=scale, position=position))
    left, top, width, height = subject_rectangle(found, threshold=THRESHOLD) or (0, 0, 0, 0)
    factor = 1 if scale is None else min(scale * WIDTH / BOX[2], scale * HEIGHT / BOX[3])

    assert width == pytest.approx(BOX[2] * factor, abs=1)
    assert height == pytest.approx(BOX[3] * factor, abs=1)
    assert left + width <= WIDTH
    assert top + height <= HEIGHT


def test_a_half_transparent_colour():
    """The subject stays opaque, and what is behind it keeps its opacity."""
    found = arrangements.lay_on_colour(cutout(), (0, 0, 255, 128))

    assert tuple(found[0, 0]) == (0, 0, 255, 128)
    assert tuple(found[8, 12]) == (*RED, 255)


def test_half_over_half():
    """Porter and Duff: 0.5 over 0.5 is 0.75, two thirds of it the subject."""
    half = np.full((1, 1, 4), (255, 0, 0, 128), np.uint8)
    found = arrangements.lay_on_colour(half, (0, 0, 255, 128))

    assert found[0, 0].tolist() == pytest.approx([170, 0, 85, 192], abs=1)


def test_a_transparent_colour_needs_little_memory():
    """Beside the result a few strips, and no picture in floats; each strip is what it was alone."""
    rng = np.random.default_rng(1)
    rgba = rng.integers(0, 256, (2000, 2000, 4), dtype=np.uint8)
    tracemalloc.start()
    try:
        found = arrangements.lay_on_colour(rgba, (255, 255, 255, 128))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 4 * rgba.nbytes
    for rows in (slice(0, 3), slice(1000, 1100), slice(1998, 2000)):
        part = arrangements.lay_on_colour(rgba[rows], (255, 255, 255, 128))
        assert (found[rows] == part).all()


def test_a_picture_behind_fills_the_size():
    """Whatever its own size."""
    behind = np.full((3, 9, 3), 7, np.uint8)
    found = arrangements.lay_on_picture(cutout(), behind)

    assert found.shape == (HEIGHT, WIDTH, 3)
    assert (tuple(found[0, 0]), tuple(found[8, 12])) == ((7, 7, 7), RED)


# --- the process -------------------------------------------------------------------------------


def run(background: Path | None = None, **wish: Any) -> tuple[int, dict[str, Any], bytes]:
    """Exit code, what is told, and the file."""
    stream = io.BytesIO()
    Image.fromarray(cutout()).save(stream, "PNG")
    return run_with(stream.getvalue(), background, **wish)


def run_with(
    file: bytes, background: Path | None = None, **wish: Any
) -> tuple[int, dict[str, Any], bytes]:
    """The same of another cut-out."""
    wanted = {"format": "auto", "channels": "rgba", "background": None} | wish
    passed: tuple[int, ...] = ()
    opened = None if background is None else background.open("rb")
    if opened is not None:
        passed, wanted["background"] = (opened.fileno(),), opened.fileno()
    done = subprocess.run(
        [sys.executable, "-m", "cvunet.matte.arranging", json.dumps(wanted)],
        input=file,
        capture_output=True,
        pass_fds=passed,
        check=False,
    )
    if opened is not None:
        opened.close()
    line, _, content = done.stdout.partition(b"\n")
    return done.returncode, json.loads(line or b"{}"), content


def image(content: bytes) -> Image.Image:
    """A file as a picture."""
    return Image.open(io.BytesIO(content))


def test_a_transparent_background_is_on_white(tmp_path: Path):
    """As in hot folders."""
    Image.new("RGBA", (8, 8), (7, 8, 9, 0)).save(tmp_path / "behind.png")
    code, _, content = run(tmp_path / "behind.png", format="png")

    assert (code, image(content).getpixel((0, 0))) == (0, (255, 255, 255))


def test_a_zip_has_colours_and_alpha():
    """Together they are the cut-out; the colours go on beyond the edge."""
    code, told, content = run(format="zip")

    assert (code, told["type"], told["foreground"]) == (0, "application/zip", list(BOX))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["color.jpg", "alpha.png"]
        colours, alpha = image(archive.read("color.jpg")), image(archive.read("alpha.png"))
    assert (colours.format, alpha.format, alpha.mode) == ("JPEG", "PNG", "L")
    assert (np.asarray(alpha) == cutout()[..., 3]).all()
    assert np.asarray(colours)[0, 0] == pytest.approx(RED, abs=3)


@pytest.mark.parametrize(
    ("wish", "kind", "mode"),
    [
        ({}, "PNG", "RGBA"),
        ({"colour": [1, 2, 3, 255]}, "JPEG", "RGB"),
        ({"colour": [1, 2, 3, 9]}, "PNG", "RGBA"),
        ({"colour": [1, 2, 3, 9], "format": "jpeg"}, "JPEG", "RGB"),
        ({"channels": "alpha"}, "PNG", "L"),
        ({"format": "webp"}, "WEBP", "RGBA"),
    ],
)
def test_formats(wish: dict[str, Any], kind: str, mode: str):
    """JPEG where nothing is transparent, unless another is asked for."""
    code, told, content = run(**wish)
    made = image(content)

    assert (code, made.format, made.mode) == (0, kind, mode)
    assert (told["width"], told["height"]) == made.size == (WIDTH, HEIGHT)


@pytest.mark.slow
def test_the_largest_picture_fits_into_the_limit():
    """100 megapixels (`worker.max_megapixels`) on a half transparent colour, in full size."""
    rgba = np.zeros((8660, 11547, 4), np.uint8)
    rgba[2000:6000, 3000:9000] = (*RED, 255)
    code, told, content = run_with(png.encode(rgba), colour=[255, 255, 255, 128])

    assert (code, told["width"], told["height"]) == (0, 11547, 8660)
    assert content.startswith(signatures.PNG)


def test_a_background_from_a_file(tmp_path: Path):
    """And one that is none: exit code 3."""
    Image.new("RGB", (5, 5), (0, 0, 250)).save(tmp_path / "blue.png")
    (tmp_path / "text.png").write_text("text")
    code, told, content = run(tmp_path / "blue.png")

    assert (code, told["type"]) == (0, "image/jpeg")
    assert image(content).getpixel((1, 1)) == pytest.approx((0, 0, 250), abs=6)
    assert run(tmp_path / "text.png")[0] == 3
