"""Depth-wise convolutions whose gradients are computed in float32.

In bfloat16 oneDNN (of torch 2.13, on AVX512-BF16) has no fast gradients for some of them: with a
stride of 2 or a kernel of 5 the backward pass takes three to eight times as long as in float32.
"""

from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

SLOW_KERNEL = 5


class FloatGradients(torch.autograd.Function):
    """A depth-wise convolution in bfloat16; its gradients are those of float32, rounded."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, how: nn.Conv2d
    ) -> Tensor:  # Any: torch's own
        """``x`` BxCxHxW in bfloat16, ``weight`` Cx1xKxK in float32; ``how`` it moves."""
        ctx.save_for_backward(x, weight)
        ctx.how = how
        rounded = None if bias is None else bias.to(x.dtype)
        return torch.conv2d(x, weight.to(x.dtype), rounded, how.stride, how.padding, 1, how.groups)

    @staticmethod
    def backward(
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        """The gradients of ``x``, ``weight`` and ``bias``."""
        x, weight = ctx.saved_tensors
        how: nn.Conv2d = ctx.how
        needed = list(ctx.needs_input_grad[:3])
        of_x, of_weight, of_bias = torch.ops.aten.convolution_backward(
            gradients[0].float(),
            x.float(),
            weight.to(x.dtype).float(),  # as it was used
            [how.out_channels],
            list(how.stride),
            [int(side) for side in how.padding],
            [1, 1],
            False,
            [0, 0],
            how.groups,
            needed,
        )
        return None if of_x is None else of_x.to(x.dtype), of_weight, of_bias, None


def speed_up(model: nn.Module) -> None:
    """Let the slow depth-wise convolutions of a model take float32 for their gradients.

    Only under autocast; what they give is the same.
    """
    for module in model.modules():
        if is_slow(module):
            take_float_gradients(module)


def take_float_gradients(convolution: nn.Conv2d) -> None:
    """Do to one convolution what `speed_up` says, at the only place where torch lets us step in."""
    plain = convolution._conv_forward

    def convolve(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if not torch.is_autocast_enabled("cpu"):
            unchanged: Tensor = plain(input, weight, bias)
            return unchanged
        rounded = input.to(torch.get_autocast_dtype("cpu"))
        given: Tensor = FloatGradients.apply(rounded, weight, bias, convolution)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return given

    convolution._conv_forward = convolve  # type: ignore[method-assign]


def is_slow(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether the gradients of a module are slow in bfloat16."""
    if not isinstance(module, nn.Conv2d) or module.groups == 1:
        return False
    return module.stride[0] > 1 or module.kernel_size[0] >= SLOW_KERNEL
