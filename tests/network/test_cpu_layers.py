"""On a CPU torch computes the same as the network, in layers of another form."""

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from cvunet.network import cpu_layers
from cvunet.network.cbam import CBAM
from cvunet.network.encoder import SameConv, SqueezeExcite
from cvunet.network.network import NetworkConfig
from cvunet.network.resizing import Resizing
from cvunet.network.rewriting import UnfoldingConv
from tests.network.network_kit import EVERY_PART, SIDE, assert_same, network_of, of_every_kind

Form = Callable[..., nn.Module]


def seen(channels: int = 3, side: int = SIDE) -> torch.Tensor:
    """Two photos of chance, in the order that pictures have."""
    maps = torch.rand(2, channels, side, side, generator=torch.Generator().manual_seed(side))
    return (maps * 2 - 1).to(memory_format=torch.channels_last)


@of_every_kind
@torch.inference_mode()
def test_network_on_a_cpu_is_the_network(config: NetworkConfig):
    """With every part that a recipe asks for, and with the trunk alone; the photo stays."""
    network, image = network_of(config, torch.float32), seen()
    before, expected = image.clone(), network(image)

    assert_same(cpu_layers.on_cpu(network, SIDE)(image), expected)
    assert torch.equal(before, image)


@torch.inference_mode()
def test_bfloat16_is_as_exact_as_before():
    """Its distance from float32 grows by a tenth at most; logits have the same type."""
    image = seen()
    exact = network_of(EVERY_PART, torch.float32)(image)
    before = network_of(EVERY_PART, torch.bfloat16)(image.bfloat16())

    found = cpu_layers.on_cpu(network_of(EVERY_PART, torch.bfloat16), SIDE)(image.bfloat16())

    assert found.dtype == before.dtype == torch.bfloat16
    assert (found - exact).abs().mean() <= 1.1 * (before - exact).abs().mean()


@settings(deadline=None)
@given(kernel=st.sampled_from([3, 5, 7]), halves=st.tuples(st.integers(2, 6), st.integers(2, 6)))
@torch.inference_mode()
def test_zeros_in_the_kernel_stand_for_padding(kernel: int, halves: tuple[int, int]):
    """At the borders, too."""
    layer = SameConv(4, 4, kernel=kernel, stride=2, groups=4)
    x = torch.randn(2, 4, 2 * halves[0], 2 * halves[1])

    form = cpu_layers.without_padding(layer)

    assert form is not layer
    assert_same(form(x), layer(x))


def test_layers_that_need_no_padding_stay():
    """And the stem, whose border is not 0."""
    plain, stem = SameConv(4, 4, kernel=3), SameConv(3, 4, kernel=3, stride=2)
    stem.pad_value = -1.0

    assert cpu_layers.without_padding(plain) is plain
    assert cpu_layers.without_padding(stem) is stem


@pytest.mark.parametrize(
    ("layer", "form"),
    [
        (SqueezeExcite(16), cpu_layers.OnePlaceSqueezeExcite),
        (CBAM(16), cpu_layers.InPlaceCBAM),
        (UnfoldingConv(nn.Conv2d(16, 4, 3, padding=1), 2), cpu_layers.PixelUnfoldingConv),
        (Resizing(32, 28, is_antialiased=True), cpu_layers.PixelResizing),
        (Resizing(32, 48), cpu_layers.PixelResizing),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
@torch.inference_mode()
def test_forms_are_the_layers(layer: nn.Module, form: Form):
    """On maps of two photos."""
    x = seen(16, 32)
    expected = layer(x)

    assert_same(form(copy.deepcopy(layer))(x), expected)


@torch.inference_mode()
def test_resizing_is_torchs_own():
    """Smaller with antialias, and larger."""
    for side, is_antialiased in ((28, True), (48, False)):
        expected = functional.interpolate(
            seen(3, 32),
            size=(side, side),
            mode="bilinear",
            align_corners=False,
            antialias=is_antialiased,
        )

        layer = Resizing(32, side, is_antialiased=is_antialiased)
        assert_same(layer(seen(3, 32)), expected)
        assert_same(cpu_layers.PixelResizing(layer)(seen(3, 32)), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@torch.inference_mode()
def test_mean_of_a_large_map(dtype: torch.dtype):
    """In float16 the sum would be infinite."""
    x = torch.full((2, 3, 64, 64), 100.0, dtype=dtype).to(memory_format=torch.channels_last)

    assert torch.equal(cpu_layers.mean_of(x), torch.full((2, 3), 100.0))
