"""The steps before and after the network: `prepare` and `finish`."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from cvunet.inference import matting
from cvunet.inference.matting import FinishSettings
from cvunet.inference.torch_predictor import TorchPredictor
from cvunet.pictures.reading import Picture

Bytes = NDArray[np.uint8]
SIZE = 64


def predictor() -> TorchPredictor:
    """With a network that nothing here runs."""
    return TorchPredictor(
        nn.Identity(), device=torch.device("cpu"), precision="float32", input_size=SIZE
    )


def plain(level: int) -> Bytes:
    return np.full((SIZE, SIZE, 3), level, np.uint8)


def picture_of(rgb: Bytes, alpha: Bytes | None = None) -> Picture:
    return Picture(rgb, alpha, (), "PNG")


def test_prepare_squeezes_to_a_square():
    """Any shape becomes SxSx3 bytes."""
    rgb = np.random.default_rng(0).integers(0, 256, (300, 90, 3), dtype=np.uint8)

    small = predictor().prepare(picture_of(rgb))

    assert (small.shape, small.dtype.type) == ((SIZE, SIZE, 3), np.uint8)


def test_prepare_puts_transparency_on_grey():
    """What hides under a source's alpha of 0 is not shown to the network."""
    alpha = np.zeros((SIZE, SIZE), np.uint8)
    alpha[:, SIZE // 2 :] = 255

    small = predictor().prepare(picture_of(plain(250), alpha))

    assert (int(small[0, 0, 0]), int(small[0, -1, 0])) == (128, 250)


@pytest.mark.parametrize(("width", "height"), [(40, 200), (200, 40), (40, 40)])
def test_an_enlarged_copy_is_not_used(width: int, height: int):
    """It is blurred: the edges of a small picture would be, too."""
    rng = np.random.default_rng(1)
    picture = picture_of(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    alpha = rng.random((SIZE, SIZE), np.float32)
    prepared = predictor().prepare(picture)

    finished = matting.finish(picture, alpha, settings=FinishSettings(), prepared=prepared)

    assert np.array_equal(finished, matting.finish(picture, alpha, settings=FinishSettings()))


def ramp(width: int = 200, height: int = 100) -> Picture:
    """A photo wider than high, all of one colour."""
    return picture_of(np.full((height, width, 3), (200, 100, 50), np.uint8))


def half_alpha() -> NDArray[np.float32]:
    """The right half is subject, over a haze."""
    alpha = np.full((SIZE, SIZE), 0.01, np.float32)
    alpha[:, SIZE // 2 :] = 0.995
    return alpha


@pytest.mark.parametrize("name", ["bilateral", "guided", "none"])
def test_cutout_is_empty_and_solid(name: str):
    """Away from the edge the background is exactly nothing and the subject exactly itself."""
    settings = FinishSettings(filter=name)  # type: ignore[arg-type]

    rgba = matting.finish(ramp(), half_alpha(), settings=settings)

    assert rgba.shape == (100, 200, 4)
    assert not rgba[:, :80].any()
    assert (rgba[:, 120:] == (200, 100, 50, 255)).all()


def test_alpha_alone():
    """The matte as grey picture, the same as the cut-out's fourth channel."""
    cutout = matting.finish(ramp(), half_alpha(), settings=FinishSettings())

    alpha = matting.finish(ramp(), half_alpha(), settings=FinishSettings(content="alpha"))

    assert np.array_equal(alpha, cutout[..., 3])


def test_background_colour_flattens():
    """Three channels, the colour where nothing is."""
    flat = matting.finish(ramp(), half_alpha(), settings=FinishSettings(background=(1, 2, 3)))

    assert flat.shape == (100, 200, 3)
    assert flat[50, 10].tolist() == [1, 2, 3]
    assert flat[50, 190].tolist() == [200, 100, 50]


@pytest.mark.parametrize("decontaminate", [False, True])
def test_decontamination_can_be_switched_off(decontaminate: bool):
    """Without it the edge keeps the photo's colours."""
    rgb = ramp().rgb.copy()
    rgb[:, :100] = (0, 0, 255)

    # The guided kernel would find the hard edge of this photo, and no band would be left.
    settings = FinishSettings(kernel="bilinear", decontaminate=decontaminate)

    rgba = matting.finish(picture_of(rgb), half_alpha(), settings=settings)

    seen = rgba[..., 3] > 0
    assert np.array_equal(rgba[..., :3][seen], rgb[seen]) is not decontaminate


@pytest.mark.parametrize("content", ["cutout", "alpha"])
def test_source_alpha_is_kept(content: str):
    """The subject is no more opaque than the source was."""
    source = picture_of(ramp().rgb, np.full((100, 200), 100, np.uint8))

    pixels = matting.finish(source, half_alpha(), settings=FinishSettings(content=content))  # type: ignore[arg-type]

    alpha = pixels[..., 3] if content == "cutout" else pixels
    assert (int(alpha[50, 10]), int(alpha[50, 190])) == (0, 100)


def test_finish_takes_pictures_smaller_than_the_network():
    """A thumbnail, down to a single pixel."""
    rgba = matting.finish(ramp(1, 1), np.ones((SIZE, SIZE), np.float32), settings=FinishSettings())

    assert rgba.tolist() == [[[200, 100, 50, 255]]]
