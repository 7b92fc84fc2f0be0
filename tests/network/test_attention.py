"""Self-attention over a small map."""

import pytest
import torch

from cvunet.network.attention import AttentionBlock


def test_attention_lets_every_place_see_every_other():
    """After training, a change in one corner changes the opposite corner."""
    torch.manual_seed(0)
    block = AttentionBlock(32).eval()
    torch.nn.init.normal_(block.attend.weight)
    x = torch.randn(1, 32, 6, 9)
    moved = x.clone()
    moved[:, :16, 0, 0] += 3

    with torch.inference_mode():
        difference = (block(x) - block(moved)).abs()

    assert float(difference[..., 5, 8].max()) > 1e-4


def test_attention_needs_channels_for_whole_heads():
    """Other numbers of channels are refused."""
    with pytest.raises(ValueError, match="multiple of 32"):
        AttentionBlock(48)
