"""Self-attention over a small map: each place asks all others (Vaswani et al. 2017, 1706.03762).

Where a place lies is told by a depth-wise convolution (conditional positional encodings, Chu et al.
2021, arXiv:2102.10882), so that a map of any size can be read.
"""

from torch import Tensor, nn
from torch.nn import functional

HEAD_CHANNELS = 32
GROWTH = 2  # of the perceptron's hidden layer


class AttentionBlock(nn.Module):
    """Position, attention, perceptron; an untrained block changes nothing."""

    def __init__(self, channels: int) -> None:
        """`ValueError` if the channels cannot be shared out to heads of 32."""
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
        """BxCxHxW, same shape out."""
        x = x + self.position(x)
        batch, channels, height, width = x.shape
        places = x.flatten(2).transpose(1, 2)  # BxNxC
        places = places + self.attend(self.mix(self.ask(self.attend_norm(places))))
        hidden = functional.gelu(self.widen(self.think_norm(places)))
        thought: Tensor = places + self.think(hidden)
        return thought.transpose(1, 2).reshape(batch, channels, height, width)

    def mix(self, asked: Tensor) -> Tensor:
        """Queries, keys and values BxNx3C to the values' mean by likeness BxNxC."""
        batch, count, channels = asked.shape
        heads = asked.view(batch, count, 3, -1, HEAD_CHANNELS).permute(2, 0, 3, 1, 4)
        query, key, value = heads.unbind(0)  # each BxhxNx32
        mixed = functional.scaled_dot_product_attention(query, key, value)
        together: Tensor = mixed.transpose(1, 2).reshape(batch, count, channels // 3)
        return together


class Attention(nn.Sequential):
    """Blocks one after another; none at all is the identity."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__(*(AttentionBlock(channels) for _ in range(blocks)))
