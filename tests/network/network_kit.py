"""Small networks of chance, and what counts as the same answer."""

import pytest
import torch
from torch import nn

from cvunet.network import folding
from cvunet.network.network import CVUNet, NetworkConfig

SIDE = 96
SMALL = {"width": 0.35, "aspp_channels": 32, "decoder_channels": (16, 8, 8, 8)}
EVERY_PART = NetworkConfig(
    **SMALL,  # type: ignore[arg-type]  # their types are those of the table above
    trunk_scale=0.875,
    refine_channels=8,
    attention_blocks=1,
    is_guided=True,
    has_encoder_norms=True,
)
TRUNK_ONLY = NetworkConfig(**SMALL)  # type: ignore[arg-type]  # as above
SMALL_TRUNK = NetworkConfig(**SMALL, trunk_scale=0.875)  # type: ignore[arg-type]  # as above
#: For a test with the argument ``config``.
of_every_kind = pytest.mark.parametrize(
    "config",
    [EVERY_PART, TRUNK_ONLY, SMALL_TRUNK],
    ids=["every part", "trunk only", "small trunk"],
)


def network_of(config: NetworkConfig, dtype: torch.dtype = torch.float32) -> CVUNet:
    """Folded, of chance; layers that start with 0 have weights, too."""
    torch.manual_seed(1)
    network = CVUNet(config).eval()
    for weights in network.parameters():
        if not weights.any():
            nn.init.normal_(weights, std=0.1)
    folded = folding.fold_for_inference(network, dtype)
    assert isinstance(folded, CVUNet)
    return folded


def assert_same(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Equal but for the order of sums in float32."""
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)
