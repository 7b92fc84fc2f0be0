"""Depth-wise convolutions in bfloat16 with gradients in float32."""

import copy

import pytest
import torch
from torch import Tensor, nn

from cvunet.inference import torch_predictor
from cvunet.network.network import CVUNet
from cvunet.training import depthwise, layout
from tests.training.training_kit import recipe

CPU = torch.device("cpu")


def convolution(*, kernel: int, stride: int, has_bias: bool = True) -> nn.Conv2d:
    torch.manual_seed(1)
    padding = 0 if stride > 1 else kernel // 2
    return nn.Conv2d(8, 8, kernel, stride, padding, groups=8, bias=has_bias)


def gradients(module: nn.Conv2d, x: Tensor, dtype: torch.dtype) -> list[Tensor]:
    """Of input, weight and, if there is one, bias; the answer comes first."""
    x = x.clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        answer = module(x)
    torch.manual_seed(2)
    module.zero_grad()
    answer.backward(torch.randn(answer.shape).to(answer.dtype))
    assert x.grad is not None
    return [answer.detach(), x.grad, *(p.grad for p in module.parameters() if p.grad is not None)]


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (5, 1), (5, 2)])
@pytest.mark.parametrize("has_bias", [True, False])
def test_answers_are_the_same_and_gradients_as_near_as_before(
    kernel: int, stride: int, has_bias: bool
) -> None:
    """Answers to the bit; gradients within 2 % of those in float32 and of those in bfloat16."""
    plain = convolution(kernel=kernel, stride=stride, has_bias=has_bias)
    fast, exact = copy.deepcopy(plain), copy.deepcopy(plain)
    depthwise.speed_up(nn.Sequential(fast))
    x = torch.randn(2, 8, 21, 21)

    before = gradients(plain, x, torch.bfloat16)
    now = gradients(fast, x, torch.bfloat16)
    true = gradients(exact, x, torch.float32)

    assert now[0].dtype == torch.bfloat16
    assert torch.equal(now[0], before[0])
    assert len(now) == (4 if has_bias else 3)
    for mine, theirs, right in zip(now[1:], before[1:], true[1:], strict=True):
        assert mine.dtype == theirs.dtype
        scale = right.abs().max()
        assert (mine - right).abs().max() <= 0.02 * scale
        assert (mine - theirs).abs().max() <= 0.02 * scale


def test_without_autocast_nothing_changes() -> None:
    """Answers and gradients in float32 are the same to the bit."""
    plain = convolution(kernel=5, stride=1)
    fast = copy.deepcopy(plain)
    depthwise.speed_up(nn.Sequential(fast))
    x = torch.randn(2, 8, 21, 21)

    for mine, theirs in zip(
        gradients(fast, x, torch.float32), gradients(plain, x, torch.float32), strict=True
    ):
        assert torch.equal(mine, theirs)


def test_copies_train_their_own_weights() -> None:
    """The average is a copy: it must not compute with the weights of the network."""
    fast = convolution(kernel=5, stride=1)
    depthwise.speed_up(nn.Sequential(fast))
    other = copy.deepcopy(fast)
    with torch.no_grad():
        other.weight.zero_()
    x = torch.randn(2, 8, 21, 21)

    assert gradients(other, x, torch.bfloat16)[1].abs().max() == 0
    assert gradients(fast, x, torch.bfloat16)[1].abs().max() > 0


@pytest.mark.parametrize(
    ("precision", "is_replaced"), [(torch.bfloat16, True), (torch.float32, False)]
)
def test_only_the_slow_ones_of_a_network_in_bfloat16(
    monkeypatch: pytest.MonkeyPatch, precision: torch.dtype, is_replaced: bool
) -> None:
    """Those with a stride or a large kernel; none of a network that computes in float32."""
    monkeypatch.setattr(torch_predictor, "choose_precision", lambda *_: precision)
    model = layout.arrange(CVUNet(recipe().network), CPU)

    replaced = {name for name, m in model.named_modules() if "_conv_forward" in vars(m)}
    slow = {
        name
        for name, m in model.named_modules()
        if isinstance(m, nn.Conv2d) and m.groups > 1 and (m.stride[0] > 1 or m.kernel_size[0] > 3)
    }
    assert slow
    assert replaced == (slow if is_replaced else set())
