"""How pictures become what a network sees: its shapes, and which of them can be at all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvunet.inference.preparation import Preparation
from cvunet.models.description import Fit
from cvunet.pictures.reading import Picture

SIDES = st.integers(1, 300)


@given(
    fit=st.sampled_from(["squeeze", "letterbox", "shorter"]),
    own=st.tuples(st.integers(32, 99), st.integers(32, 99)),
    size=st.tuples(SIDES, SIDES),
)
def test_every_picture_has_a_shape_that_can_be(
    fit: Fit, own: tuple[int, int], size: tuple[int, int]
):
    """And room where the largest has some: the daemon trusts a clip's child so far only."""
    preparation = Preparation(*own, fit)
    small = preparation(Picture(np.zeros((*size, 3), np.uint8), None, (), "test"))

    height, width, _ = small.shape
    assert preparation.can_be(height, width)
    assert height * width <= preparation.most_pixels


@pytest.mark.parametrize(
    ("fit", "shapes"),
    [
        ("squeeze", [(64, 96), (96, 96), (0, 0)]),
        ("letterbox", [(65, 96), (64, 97), (0, 96), (-1, -1)]),
        ("shorter", [(64, 65), (32, 64), (64, 288), (96, 96), (0, 64), (-64, 64)]),
    ],
)
def test_shapes_that_cannot_be(fit: Fit, shapes: list[tuple[int, int]]):
    """A network that is shown such a picture fails."""
    preparation = Preparation(96, 64, fit)
    if fit == "squeeze":
        assert preparation.can_be(*shapes.pop(0))

    assert not any(preparation.can_be(*shape) for shape in shapes)
