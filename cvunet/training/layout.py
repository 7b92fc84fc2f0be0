"""How a network lies in memory while it is trained."""

from typing import Any, cast

import torch
from torch import Tensor, nn

from cvunet.inference import torch_predictor
from cvunet.network.decoder import DecoderStage
from cvunet.network.network import CVUNet
from cvunet.training import depthwise

#: The decoder's stages at strides 4 and 2. Without AVX-512 the gradient of their join
#: takes oneDNN nine times as long as the forward pass in channels_last, and four times in planes.
PLANAR_STAGES = slice(2, 4)


def arrange(model: CVUNet, device: torch.device) -> CVUNet:
    """The model on its device, channels_last but for what a CPU does faster in another way."""
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # nn.Module.to's stub knows no keyword alone
    if device.type != "cpu":
        return model
    if torch_predictor.choose_precision("auto", device) != torch.float32:
        depthwise.speed_up(model)
        return model
    for stage in list(model.decoder.stages)[PLANAR_STAGES]:
        lay_in_planes(cast(DecoderStage, stage).join)
    return model


def lay_in_planes(join: nn.Sequential) -> None:
    """Input and gradients of its convolution are planar, what that gives is channels_last again."""

    def before(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(x.contiguous() for x in inputs)

    def after(_: nn.Module, inputs: Any, output: Tensor) -> Tensor:  # Any: torch's own signature
        return output.contiguous(memory_format=torch.channels_last)

    convolution = join[0]
    convolution.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # as above
    convolution.register_forward_pre_hook(before)
    convolution.register_forward_hook(after)
