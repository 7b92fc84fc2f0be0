"""What is exported computes the same as the network, in layers of another form."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from cvunet.network.cbam import SpatialAttention
from cvunet.network.export_form import Exported
from cvunet.network.network import NetworkConfig
from cvunet.network.rewriting import LargeSpatialAttention, PhotoJoin, UnfoldingConv
from tests.network.network_kit import SIDE, assert_same, network_of, of_every_kind


def seen(side: int = SIDE) -> torch.Tensor:
    """Two photos of chance."""
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(side)) * 2 - 1


@settings(deadline=None)
@given(
    side=st.sampled_from([1, 2, 3]),
    step=st.sampled_from([1, 2, 4]),
    kernel=st.sampled_from([1, 3, 7]),
    places=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
@torch.inference_mode()
def test_unfolding_for_several_places_at_once(
    side: int, step: int, kernel: int, places: tuple[int, int]
):
    """The same as the layer and `pixel_shuffle`, at the borders, too."""
    layer = nn.Conv2d(2, side * side, kernel, padding=kernel // 2)
    x = torch.randn(2, 2, places[0] * step, places[1] * step)

    assert_same(UnfoldingConv(layer, step)(x), functional.pixel_shuffle(layer(x), side))


@pytest.mark.parametrize("fold", [1, 2, 4])
@torch.inference_mode()
def test_photo_is_joined_without_folding_it(fold: int):
    """The same as the layer on the maps and the folded photo."""
    layer = nn.Conv2d(5 + 3 * fold * fold, 4, 3, padding=1)
    maps, photo = torch.randn(2, 5, 6, 8), torch.randn(2, 3, 6 * fold, 8 * fold)
    folded = functional.pixel_unshuffle(photo, fold)

    assert_same(
        PhotoJoin(layer, fold)(maps, photo),
        functional.relu(layer(torch.cat([maps, folded], dim=1))),
    )


@torch.inference_mode()
def test_attention_of_large_maps():
    """The same gate."""
    attention, x = SpatialAttention(), torch.randn(2, 6, 12, 8)

    assert_same(LargeSpatialAttention(attention, 6)(x), attention(x))


@of_every_kind
@torch.inference_mode()
def test_exported_network_is_the_network(config: NetworkConfig):
    """With every part that a recipe asks for, and with the trunk alone."""
    network, image = network_of(config), seen()
    expected = network(image)

    assert_same(Exported(network, SIDE)(image), expected)
