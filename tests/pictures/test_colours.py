"""Colours of results: what a colour-managed viewer shows is what the original showed."""

import io

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage.color import deltaE_ciede2000
from torch import nn

from cvunet.inference import matting, torch_predictor
from cvunet.pictures import encoding, reading
from tests.pictures import pictures_kit as kit

Floats = NDArray[np.float64]
BLOCK_PX = 16
SPACES = {  # matrix, curve for the profile, share of white to linear light, and back
    "Display P3": (kit.P3, kit.SRGB_CURVE, kit.srgb_to_linear, kit.linear_to_srgb),
    "Adobe RGB": (kit.ADOBE, kit.gamma(2.2), lambda v: v**2.2, lambda v: v ** (1 / 2.2)),
}
FORMATS: tuple[encoding.Format, ...] = ("png", "tiff", "webp", "webp-lossless", "avif", "jpeg")


def cube(steps: int = 6) -> Floats:
    """Colours all over a space, as shares of white, (steps ** 3) x 3."""
    axis = np.linspace(0, 1, steps)
    return np.stack(np.meshgrid(axis, axis, axis), -1).reshape(-1, 3)


def chart(shares: Floats, channels: int = 3) -> NDArray[np.uint8]:
    """A block of every colour, in rows of 18 blocks."""
    levels = np.round(shares * 255).astype(np.uint8).reshape(-1, 18, channels)
    return levels.repeat(BLOCK_PX, 0).repeat(BLOCK_PX, 1)


def centres(pixels: NDArray[np.uint8]) -> Floats:
    """Shares of white in the blocks' middles, Nx3."""
    half = BLOCK_PX // 2
    found: Floats = pixels[half::BLOCK_PX, half::BLOCK_PX, :3].reshape(-1, 3).astype(float) / 255
    return found


def viewed(data: bytes, name: str) -> Floats:
    """CIELAB of the blocks as a viewer shows them that believes the embedded profile."""
    matrix, curve, to_light, _ = SPACES[name]
    image = Image.open(io.BytesIO(data))
    assert image.info["icc_profile"] == kit.rgb_profile(matrix, curve)
    return kit.lab_of(to_light(centres(np.asarray(image))), matrix)


def test_the_difference_of_colours_is_ciede2000():
    """Against scikit-image, a pair from the standard's test data, and grey."""
    rng = np.random.default_rng(0)
    first = rng.uniform((0, -80, -80), (100, 80, 80), (500, 3))
    second = first + rng.normal(0, 20, first.shape)
    first[0], second[0] = (50, 2.6772, -79.7751), (50, 0, -82.7485)
    first[1], second[1] = (50, 0, 0), (60, 0, 0)

    difference = kit.delta_e(first, second)

    assert difference == pytest.approx(deltaE_ciede2000(first, second), abs=1e-6)
    assert difference[0] == pytest.approx(2.0425, abs=1e-4)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", SPACES)
def test_wide_gamut_colours_stay(name: str, kind: encoding.Format):
    """Mean 0.5 and at most 2 of CIEDE2000 from the colours that the photo was made of."""
    matrix, curve, to_light, _ = SPACES[name]
    colours = cube()
    original = kit.file_of(
        Image.fromarray(chart(colours)), "PNG", icc_profile=kit.rgb_profile(matrix, curve)
    )
    settings = matting.FinishSettings(background=(255, 255, 255) if kind == "jpeg" else None)

    result, _ = kit.cut(original, format=kind, settings=settings)

    truth = kit.lab_of(to_light(colours), matrix)
    difference = kit.delta_e(truth, viewed(result, name))
    assert difference.mean() <= 0.5
    assert difference.max() <= 2
    # What those see who drop the profile, so that the test cannot pass by chance.
    naked = kit.lab_of(
        kit.srgb_to_linear(centres(np.asarray(Image.open(io.BytesIO(result))))), kit.SRGB
    )
    assert kit.delta_e(truth, naked).mean() > 2


@pytest.mark.parametrize("name", SPACES)
def test_network_sees_srgb(name: str):
    """Colours within sRGB's gamut arrive as sRGB says them."""
    matrix, curve, _, to_share = SPACES[name]
    light = kit.srgb_to_linear(cube())
    inside = np.linalg.solve(matrix, kit.SRGB @ light.T).T.clip(0, 1)
    pixels = chart(to_share(inside))
    data = kit.file_of(Image.fromarray(pixels), "PNG", icc_profile=kit.rgb_profile(matrix, curve))
    predictor = torch_predictor.TorchPredictor(
        nn.Identity(), device=torch.device("cpu"), precision="float32", input_size=288
    )
    picture = reading.read(io.BytesIO(data), max_pixels=kit.LIMIT)

    small = predictor.prepare(picture)

    difference = kit.delta_e(
        kit.lab_of(light, kit.SRGB), kit.lab_of(squeezed(small, pixels.shape[0]), kit.SRGB)
    )
    assert difference.mean() <= 0.5
    assert difference.max() <= 2


def squeezed(small: NDArray[np.uint8], height: int) -> Floats:
    """Linear light in the blocks' middles of a chart that was made square."""
    rows = ((np.arange(BLOCK_PX // 2, height, BLOCK_PX) + 0.5) * small.shape[0] / height).astype(
        int
    )
    columns = np.arange(BLOCK_PX // 2, small.shape[1], BLOCK_PX)
    return kit.srgb_to_linear(small[np.ix_(rows, columns)].reshape(-1, 3) / 255)


def cmyk_profile(inks: Floats, lab: Floats) -> bytes:
    """A press of which the colours of all combinations of six levels of ink are known."""
    levels = np.round(lab * (2.55, 1, 1) + (0, 128, 128)).clip(0, 255).astype(np.uint8)
    assert len(inks) == 6**4
    identity = bytes(range(256))
    matrix = b"".join(kit.s15(float(value)) for value in np.eye(3).ravel())
    table = b"mft1\0\0\0\0" + bytes((4, 3, 6, 0)) + matrix + 4 * identity
    table += levels.tobytes() + 3 * identity
    return kit.icc(b"CMYK", {b"A2B0": table}, kind=b"prtr", connection=b"Lab ")


def test_cmyk_is_converted_by_its_profile():
    """The result is sRGB, with the colours that the press's profile gives."""
    axis = np.linspace(0, 1, 6)
    inks = np.stack(np.meshgrid(axis, axis, axis, axis, indexing="ij"), -1).reshape(-1, 4)
    shares = (1 - inks[:, :3] * (0.9, 0.85, 0.95)) * (1 - inks[:, 3:])
    lab = kit.lab_of(kit.srgb_to_linear(shares), kit.SRGB)
    pixels = chart(inks, 4)
    data = kit.file_of(Image.fromarray(pixels, "CMYK"), "TIFF", icc_profile=cmyk_profile(inks, lab))

    result, picture = kit.cut(data)

    image = Image.open(io.BytesIO(result))
    assert "icc_profile" not in image.info
    assert picture.warnings == ()
    seen = kit.lab_of(kit.srgb_to_linear(centres(np.asarray(image))), kit.SRGB)
    difference = kit.delta_e(lab, seen)
    assert difference.mean() <= 0.5
    assert difference.max() <= 2
