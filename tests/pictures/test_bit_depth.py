"""Pictures of 16 bits: read whole, cut out and written without loss."""

import io
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from cvunet.errors import ImageError
from cvunet.inference import matting, torch_predictor
from cvunet.pictures import encoding, reading
from tests.pictures import pictures_kit as kit
from tests.pictures.test_reading import UPRIGHT_QUARTERS, corners

Deep = NDArray[np.uint16]
ORDER = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}


def noise(height: int = 40, width: int = 60, channels: int = 3) -> Deep:
    return np.random.default_rng(3).integers(0, 65536, (height, width, channels), dtype=np.uint16)


def read(data: bytes, depth: reading.Depth = "auto") -> reading.Picture:
    return reading.read(io.BytesIO(data), max_pixels=kit.LIMIT, depth=depth)


def pixels_of(file: bytes) -> NDArray[Any]:
    """A file's pixels by OpenCV, in the order RGBA."""
    pixels = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, ORDER[pixels.shape[2]])


FILES: dict[str, Callable[[Deep], bytes]] = {
    "png": kit.deep_png,
    "little-endian tiff": kit.deep_tiff,
    "big-endian tiff": lambda pixels: kit.deep_tiff(pixels, order=">"),
}


@pytest.mark.parametrize("file", FILES)
def test_colours_of_16_bits_are_read_whole(file: str):
    """Every level, from PNG and from TIFF."""
    picture = read(FILES[file](noise()))

    assert picture.rgb.dtype == np.uint16
    assert (picture.alpha, picture.warnings) == (None, ())
    assert np.array_equal(picture.rgb, noise())


@pytest.mark.parametrize("file", FILES)
def test_alpha_of_16_bits_is_read_whole(file: str):
    """The source's own alpha has its depth."""
    picture = read(FILES[file](noise(channels=4)))

    assert picture.alpha is not None
    assert np.array_equal(np.dstack([picture.rgb, picture.alpha]), noise(channels=4))


def test_grey_and_alpha_of_16_bits():
    """PNG's colour type 4."""
    picture = read(kit.deep_png(noise(channels=2)))

    assert picture.alpha is not None
    assert np.array_equal(picture.rgb, np.repeat(noise(channels=2)[..., :1], 3, 2))
    assert np.array_equal(picture.alpha, noise(channels=2)[..., 1])


def test_grey_of_16_bits():
    """All levels, the same in all channels."""
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)

    picture = read(kit.file_of(Image.fromarray(ramp), "PNG"))

    assert np.array_equal(picture.rgb, np.repeat(ramp[..., None], 3, 2))


def test_transparent_colour_of_16_bits():
    """PNG's transparent colour counts with all of its bits."""
    pixels = np.full((2, 2, 3), 1000, np.uint16)
    pixels[0, 0] = 1001
    data = kit.deep_png(pixels, kit.chunk(b"tRNS", np.full(3, 1000, ">u2").tobytes()))

    picture = read(data)

    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[65535, 0], [0, 0]]


@pytest.mark.parametrize("kind", ["P6", "P3"])
@pytest.mark.parametrize("white", [256, 1023, 4095, 65534, 65535])
def test_any_white_of_ppm(white: int, kind: str):
    """The same share of white, to the nearest level of 16 bits."""
    levels = (noise().astype(int) % (white + 1)).astype(np.uint16)
    levels[0, 0], levels[0, 1] = white, 0
    stored = levels.astype(">u2").tobytes()
    if kind == "P3":
        stored = b"".join(b"%d\n" % level for level in levels.ravel())

    picture = read(f"{kind} # {white}\n60 40\n{white}\n".encode() + stored)

    assert picture.warnings == ()
    assert picture.rgb.dtype == np.uint16
    exact = levels.astype(float) * 65535 / white
    assert np.abs(picture.rgb - exact).max() <= 0.5


@pytest.mark.parametrize("orientation", UPRIGHT_QUARTERS)
def test_orientation_of_deep_tiffs(orientation: int):
    """Turned once, and not twice by two decoders."""
    pixels = np.asarray(corners()).astype(np.uint16) * 257

    picture = read(kit.deep_tiff(pixels, t274=orientation))

    height, width = picture.rgb.shape[:2]
    places = [(y, x) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    found = [tuple((picture.rgb[place] // 257).tolist()) for place in places]
    assert (found, picture.warnings) == (UPRIGHT_QUARTERS[orientation], ())


@pytest.mark.parametrize(
    ("depth", "expected"),
    [("auto", np.uint16), (16, np.uint16), (8, np.uint8)],
)
def test_depth_of_the_result(depth: reading.Depth, expected: Any):
    """16 bits if the original has them, unless 8 are asked for; these are rounded."""
    result, _ = kit.cut(kit.deep_png(noise()), depth=depth)

    pixels = pixels_of(result)
    assert pixels.dtype == expected
    exact = noise().astype(float) / 65535 * (255 if expected is np.uint8 else 65535)
    assert np.abs(pixels[..., :3] - exact).max() <= 0.5 + 1e-9


@pytest.mark.parametrize(
    ("depth", "expected"),
    [("auto", np.uint8), (16, np.uint16), (8, np.uint8)],
)
def test_depth_of_the_result_of_8_bits(depth: reading.Depth, expected: Any):
    """Only if 16 are asked for; the colours are the same shares of white."""
    original = np.asarray(corners())

    result, _ = kit.cut(kit.file_of(corners(), "PNG"), depth=depth)

    pixels = pixels_of(result)
    assert pixels.dtype == expected
    assert np.array_equal(pixels[..., :3] // (257 if expected is np.uint16 else 1), original)


@pytest.mark.parametrize("kind", ["webp", "webp-lossless", "avif"])
def test_formats_of_8_bits_get_8(kind: encoding.Format):
    """A deep original in a format that is not."""
    result, picture = kit.cut(kit.deep_png(noise()), format=kind, depth="auto")

    assert picture.rgb.dtype == np.uint8
    assert Image.open(io.BytesIO(result)).format == kind.removesuffix("-lossless").upper()


def test_opaque_pixels_keep_all_bits_and_soft_ones_get_new_colours():
    """Decontamination works on 16 bits, and only in the soft band."""
    y, x = np.mgrid[:64, :64].astype(np.float32)
    alpha = np.clip((x - 28) / 8, 0, 1).astype(np.float32)
    front, back = np.array([50000.7, 20000.3, 3000.9]), np.array([2000.0, 9000.0, 60000.0])
    photo = front * alpha[..., None] + back * (1 - alpha[..., None]) + y[..., None]
    original = photo.astype(np.uint16)

    result, _ = kit.cut(
        kit.deep_png(original), alpha=alpha, settings=matting.FinishSettings(filter="none")
    )

    rgba = pixels_of(result)
    opaque, soft = rgba[..., 3] == 65535, (rgba[..., 3] > 6000) & (rgba[..., 3] < 65535)
    assert np.array_equal(rgba[opaque][:, :3], original[opaque])
    error = np.abs(rgba[soft][:, :3] - front).mean()
    assert error < np.abs(original[soft] - front).mean() / 2
    assert len(np.unique(rgba[soft][:, 0] % 257)) > 20  # not 8 bits in disguise


def test_background_colour_at_16_bits():
    """8 bit colours of the configuration become the same share of white."""
    alpha = np.zeros((64, 64), np.float32)

    result, _ = kit.cut(
        kit.deep_png(noise()),
        alpha=alpha,
        settings=matting.FinishSettings(background=(255, 128, 1)),
    )

    assert pixels_of(result)[3, 3].tolist() == [65535, 128 * 257, 257]


def test_mask_of_a_deep_picture():
    """The alpha alone has 16 bits as well."""
    alpha = np.full((64, 64), 0.5, np.float32)

    result, _ = kit.cut(
        kit.deep_png(noise()), alpha=alpha, settings=matting.FinishSettings(content="alpha")
    )

    assert pixels_of(result)[5, 5] == pytest.approx(32768, abs=2)


def test_network_sees_8_bits_of_a_deep_picture():
    """Own transparency on grey, rounded to bytes."""
    pixels = np.full((64, 64, 4), 65535, np.uint16)
    pixels[:, :32, 3] = 0
    predictor = torch_predictor.TorchPredictor(
        torch.nn.Identity(), device=torch.device("cpu"), precision="float32", input_size=64
    )

    small = predictor.prepare(read(kit.deep_png(pixels)))

    assert small.dtype == np.uint8
    assert (small[0, 0].tolist(), small[0, -1].tolist()) == ([128] * 3, [255] * 3)


def test_premultiplied_alpha_is_read_at_8_bits():
    """Dividing it out again is left to the decoder that does so."""
    pixels = np.full((4, 4, 4), 32768, np.uint16)

    picture = read(kit.deep_tiff(pixels, t338=1))

    assert picture.rgb.dtype == np.uint8
    assert picture.alpha is not None
    assert picture.rgb[0, 0].tolist() == pytest.approx([255] * 3, abs=1)
    assert "only their upper 8 bits are used" in " ".join(picture.warnings)


def test_inks_of_16_bits_are_told():
    """They become sRGB of 8 bits."""
    picture = read(kit.deep_tiff(np.zeros((4, 4, 4), np.uint16), t262=5, t338=-1))

    assert (picture.rgb.dtype == np.uint8, picture.rgb[0, 0].tolist()) == (True, [255] * 3)
    assert "its 16 bit colours are of an unusual kind" in " ".join(picture.warnings)


def test_decoders_that_disagree_are_told(monkeypatch: pytest.MonkeyPatch):
    """Then Pillow's 8 bits count."""
    other = np.zeros((40, 60, 3), np.uint16)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: other)

    picture = read(kit.deep_png(noise()))

    assert picture.rgb.dtype == np.uint8
    assert np.array_equal(picture.rgb, noise() >> 8)
    assert "16 bit" in " ".join(picture.warnings)


def test_false_length_of_a_chunk_does_not_reach_opencv(monkeypatch: pytest.MonkeyPatch):
    """It would take that memory first. Pillow reads the pixels, which are all there."""
    data = bytearray(kit.deep_png(noise()))
    at = data.index(b"IDAT") - 4
    data[at : at + 4] = (0xFF000841).to_bytes(4, "big")
    seen: list[object] = []
    monkeypatch.setattr(cv2, "imdecode", lambda *given: seen.append(given))

    picture = read(bytes(data))

    assert not seen
    assert np.array_equal(picture.rgb, noise() >> 8)
    assert "only their upper 8 bits are used" in " ".join(picture.warnings)


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("file", FILES)
def test_truncated_deep_file_is_refused(file: str, share: float):
    """As those of 8 bits."""
    data = FILES[file](noise())

    with pytest.raises(ImageError, match="truncated or damaged"):
        read(data[: int(len(data) * share)])
