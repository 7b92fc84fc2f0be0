"""Portraits whose body is hardly visible: what stays as it is, and what is hidden."""

import numpy as np
import pytest
from skimage import data

from cvunet.cutout import read_picture
from cvunet.inference import torch_predictor
from cvunet.inference.predictor import Predictor
from cvunet.matte import confidence
from cvunet.models import manifest
from cvunet.training import darkness
from cvunet.training.shards import Pixels

BODY, WALL = 200, 120


def portrait() -> tuple[Pixels, Pixels]:
    """A bright person before a grey wall, and the person's alpha."""
    alpha = np.zeros((100, 80), np.uint8)
    alpha[10:100, 30:50] = 255
    rgb = np.full((100, 80, 3), WALL, np.uint8)
    rgb[alpha > 0] = BODY
    return rgb, alpha


@pytest.mark.parametrize("number", range(12))
def test_body_is_hidden_and_the_head_stays(number: int):
    """The body has at most a third of its contrast to what is beside it; the head has its light."""
    rgb, alpha = portrait()
    shown = darkness.darkened(rgb, alpha, number).astype(int)
    head, body, beside = shown[15, 40], shown[80, 40], shown[80, 10]

    assert head == pytest.approx([BODY] * 3, abs=2)
    assert np.abs(body - beside).max() < (BODY - WALL) / 3


def test_same_number_hides_the_same():
    """A table must come out again."""
    rgb, alpha = portrait()

    assert (darkness.darkened(rgb, alpha, 4) == darkness.darkened(rgb, alpha, 4)).all()


def test_photo_without_a_person_stays():
    """There is no body to hide."""
    rgb, alpha = portrait()

    assert (darkness.darkened(rgb, alpha * 0, 0) == rgb).all()


@pytest.fixture(scope="module")
def network() -> Predictor:
    """The shipped weights, exactly."""
    return torch_predictor.open_predictor(
        manifest.SHIPPED, device="cpu", precision="float32", input_size=512
    )


@pytest.fixture(scope="module")
def astronaut(network: Predictor) -> tuple[Pixels, Pixels]:
    """A portrait, and the network's alpha of it."""
    rgb = data.astronaut()
    [alpha] = network.predict([network.prepare(read_picture(rgb))])
    return rgb, (alpha * 255).astype(np.uint8)


@pytest.mark.parametrize("number", [2, 8, 11, 12, 20, 21, 26, 29])
def test_astronaut_who_lost_the_body_is_shown_for_review(
    network: Predictor, astronaut: tuple[Pixels, Pixels], number: int
):
    """The network tears the dark body. The score says so: it is below the default of 0.7."""
    rgb, whole = astronaut
    shown = darkness.darkened(rgb, whole, number)
    [alpha] = network.predict([network.prepare(read_picture(shown))])
    shared = ((alpha >= 0.5) & (whole >= 128)).sum() / ((alpha >= 0.5) | (whole >= 128)).sum()

    assert shared < confidence.RIGHT_IOU
    assert confidence.judge(alpha).score < 0.7
