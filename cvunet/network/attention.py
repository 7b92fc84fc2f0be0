"""Self-attention over a small map (Vaswani et al. 2017, arXiv:1706.03762).

A depth-wise convolution encodes positions (conditional positional encodings, Chu et al. 2021,
arXiv:2102.10882), so that maps of any size work.
"""

from torch import Tensor, nn
from torch.nn import functional

HEAD_CHANNELS = 32
GROWTH = 2  # width of the perceptron's hidden layer, divided by its input's


class AttentionBlock(nn.Module):
    """Position, attention, perceptron; before training a block changes nothing."""

    def __init__(self, channels: int) -> None:
        """`ValueError` if the channels are not a multiple of 32."""
        super().__init__()
        if channels % HEAD_CHANNELS:
            raise ValueError(f"attention needs a multiple of {HEAD_CHANNELS} channels")
        self.position = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.attend_norm = nn.LayerNorm(channels)
        self.ask = nn.Linear(channels, 3 * channels)
        self.attend = nn.Linear(channels, channels)
        self.think_norm = nn.LayerNorm(channels)
        self.widen = nn.Linear(channels, GROWTH * channels)
        self.think = nn.Linear(GROWTH * channels, channels)
        for last in (self.position, self.attend, self.think):
            nn.init.zeros_(last.weight)
            assert last.bias is not None
            nn.init.zeros_(last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW to the same shape."""
        x = x + self.position(x)
        batch, channels, height, width = x.shape
        places: Tensor = x.flatten(2).transpose(1, 2)  # BxNxC
        places = places + self.attend(self.mix(self.ask(self.attend_norm(places))))
        hidden = functional.gelu(self.widen(self.think_norm(places)))
        places = places + self.think(hidden)
        return places.transpose(1, 2).reshape(batch, channels, height, width)

    def mix(self, projected: Tensor) -> Tensor:
        """Queries, keys and values BxNx3C to the attention's output BxNxC."""
        batch, count, channels = projected.shape
        heads = projected.view(batch, count, 3, -1, HEAD_CHANNELS).permute(2, 0, 3, 1, 4)
        query, key, value = heads.unbind(0)  # each BxhxNx32
        mixed = functional.scaled_dot_product_attention(query, key, value)
        joined: Tensor = mixed.transpose(1, 2).reshape(batch, count, channels // 3)
        return joined


class Attention(nn.Sequential):
    """Attention blocks in sequence; without blocks it is the identity."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__(*(AttentionBlock(channels) for _ in range(blocks)))
