"""CV-UNet: MobileNetV3 encoder, ASPP, attention, U-Net decoder with CBAM; one logit per pixel."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from cvunet.network.aspp import ASPP
from cvunet.network.attention import Attention
from cvunet.network.decoder import Decoder
from cvunet.network.encoder import MobileNetV3
from cvunet.network.refinement import FOLD, Refinement

STRIDE = 32


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """All numbers that define a CV-UNet; it is stored in every weights file."""

    width: float = 0.75
    aspp_channels: int = 128
    decoder_channels: tuple[int, int, int, int] = (96, 64, 48, 32)
    trunk_scale: float = 1.0
    """Side of the copy that encoder and decoder see, divided by the input's side."""
    refine_channels: int = 0
    """Channels of the refinement at the input's size; 0: none, the trunk's logits are enlarged."""
    has_encoder_norms: bool = False
    """BatchNorm inside the encoder, not folded into its convolutions."""
    expansion_channels: int = 0
    """The encoder's deepest map is widened to this number of channels; 0: it is not widened."""
    attention_blocks: int = 0
    """Number of self-attention blocks at stride 32."""
    is_guided: bool = False
    """Every decoder stage, not only the first, gets the map of stride 32."""


class CVUNet(nn.Module):
    """The alpha of a photo's subject, as logits.

    The trunk (encoder and decoder) finds the subject in a smaller copy. The refinement draws its
    edge from the full input. In the trunk, too, the photo, folded 2x2 into channels, joins the
    finest stage, and four logits per place unfold to full size (PixelShuffle, Shi et al. 2016,
    arXiv:1609.05158).
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.trunk_scale = config.trunk_scale
        self.encoder = MobileNetV3(
            config.width,
            has_norms=config.has_encoder_norms,
            expansion_channels=config.expansion_channels,
        )
        channels = self.encoder.out_channels
        # The encoder may have no normalisation (see encoder.py): its maps are normalised here.
        self.norms = nn.ModuleList(nn.BatchNorm2d(count) for count in channels)
        self.aspp = ASPP(
            channels[-1], config.aspp_channels, is_narrowed=config.expansion_channels > 0
        )
        self.attention = Attention(config.aspp_channels, config.attention_blocks)
        skips = (channels[3], channels[2], channels[1], channels[0] + 3 * FOLD * FOLD)
        self.decoder = Decoder(
            config.aspp_channels, skips, config.decoder_channels, is_guided=config.is_guided
        )
        finest = config.decoder_channels[-1]
        self.head = nn.Conv2d(finest, FOLD * FOLD, 3, padding=1)
        self.coarse_head = nn.Conv2d(config.decoder_channels[0], 1, 1)
        self.refine = Refinement(finest, config.refine_channels) if config.refine_channels else None

    def forward(self, image: Tensor) -> Tensor:
        """Bx3xHxW in [-1, 1], sides multiples of 32, to logits Bx1xHxW; sigmoid gives alpha."""
        return self.refine_logits(image, self.decode(self.shrink(image))[-1])

    def forward_supervised(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return full logits Bx1xHxW, and auxiliary ones at the trunk's stride 16, for training."""
        decoded = self.decode(self.shrink(image))
        return self.refine_logits(image, decoded[-1]), self.coarse_head(decoded[0])

    def trunk_supervised(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Do as `forward_supervised` for the trunk alone, which sees the image at its full size."""
        decoded = self.decode(image)
        return self.unfold_logits(decoded[-1]), self.coarse_head(decoded[0])

    def decode(self, image: Tensor) -> list[Tensor]:
        """The decoder's four maps, at strides 16, 8, 4 and 2 of the trunk's input."""
        maps = [norm(x) for norm, x in zip(self.norms, self.encoder(image), strict=True)]
        finest = torch.cat([maps[0], functional.pixel_unshuffle(image, FOLD)], dim=1)
        decoded: list[Tensor] = self.decoder(
            self.attention(self.aspp(maps[4])), [maps[3], maps[2], maps[1], finest]
        )
        return decoded

    def shrink(self, image: Tensor) -> Tensor:
        """The copy for the trunk: scaled, its sides rounded to multiples of 32."""
        if self.trunk_scale == 1:
            return image
        size = [self.trunk_side(side) for side in image.shape[2:]]
        # In float32, because a CPU has no other version; it takes a tenth of the whole time.
        smaller = functional.interpolate(
            image.float(), size=size, mode="bilinear", align_corners=False, antialias=True
        )
        return smaller.to(image.dtype)

    def trunk_side(self, side: int) -> int:
        """What the trunk sees of a side, rounded to a multiple of 32."""
        return max(STRIDE, round(side * self.trunk_scale / STRIDE) * STRIDE)

    def unfold_logits(self, decoded: Tensor) -> Tensor:
        """The trunk's logits Bx1xHxW, from its finest map at stride 2."""
        return functional.pixel_shuffle(self.head(decoded), FOLD)

    def refine_logits(self, image: Tensor, decoded: Tensor) -> Tensor:
        """The trunk's logits at the input's size, refined with the input, if that is wanted."""
        logits = self.unfold_logits(decoded)
        if logits.shape[2:] != image.shape[2:]:
            logits = functional.interpolate(
                logits, size=image.shape[2:], mode="bilinear", align_corners=False
            )
        if self.refine is None:
            return logits
        refined: Tensor = self.refine(image, decoded, logits)
        return refined
