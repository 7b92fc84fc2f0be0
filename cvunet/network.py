"""CV-UNet: MobileNetV3 encoder, ASPP, U-Net decoder with CBAM; one alpha logit per pixel."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from cvunet.aspp import ASPP
from cvunet.decoder import Decoder
from cvunet.encoder import MobileNetV3

STRIDE = 32
FOLD = 2  # the finest stage works at half size and holds FOLD x FOLD pixels in its channels


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """All numbers that define a CV-UNet; travels inside every weights file."""

    width: float = 0.75
    aspp_channels: int = 128
    decoder_channels: tuple[int, int, int, int] = (96, 64, 48, 32)


class CVUNet(nn.Module):
    """The subject's alpha of a photo, as logits.

    The photo itself, folded 2x2 into channels, joins the finest stage, and four logits per place
    unfold to full size (PixelShuffle, Shi et al. 2016, arXiv:1609.05158): full-size edges at the
    cost of half-size convolutions.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.encoder = MobileNetV3(config.width)
        channels = self.encoder.out_channels
        # The encoder carries no normalisation of its own (see encoder.py): its maps get one here.
        self.norms = nn.ModuleList(nn.BatchNorm2d(count) for count in channels)
        self.aspp = ASPP(channels[-1], config.aspp_channels)
        skips = (channels[3], channels[2], channels[1], channels[0] + 3 * FOLD * FOLD)
        self.decoder = Decoder(config.aspp_channels, skips, config.decoder_channels)
        self.head = nn.Conv2d(config.decoder_channels[-1], FOLD * FOLD, 3, padding=1)
        self.coarse_head = nn.Conv2d(config.decoder_channels[0], 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Bx3xHxW in [-1, 1], sides multiples of 32, to logits Bx1xHxW; sigmoid gives alpha."""
        return functional.pixel_shuffle(self.head(self.decode(image)[-1]), FOLD)

    def decode(self, image: Tensor) -> list[Tensor]:
        """The decoder's four maps, at strides 16, 8, 4 and 2."""
        maps = [norm(x) for norm, x in zip(self.norms, self.encoder(image), strict=True)]
        finest = torch.cat([maps[0], functional.pixel_unshuffle(image, FOLD)], dim=1)
        decoded: list[Tensor] = self.decoder(
            self.aspp(maps[4]), [maps[3], maps[2], maps[1], finest]
        )
        return decoded

    def forward_supervised(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """For training: full logits Bx1xHxW and the auxiliary ones of stride 16."""
        decoded = self.decode(image)
        logits = functional.pixel_shuffle(self.head(decoded[-1]), FOLD)
        return logits, self.coarse_head(decoded[0])
