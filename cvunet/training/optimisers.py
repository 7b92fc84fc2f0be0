"""AdamW for all weights, or Muon for the weights that are matrices.

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) makes all singular
values of a matrix's step about equal. A convolution counts as a matrix of outputs by inputs. Steps
are scaled to the size of AdamW's (Liu et al. 2025, arXiv:2502.16982), so one rate serves both.
torch.optim.Muon does not accept convolutions.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, overload

import torch
from torch import Tensor, nn

from cvunet.errors import TrainingError
from cvunet.network.network import CVUNet

MOMENTUM = 0.95
BETAS = 0.9, 0.999
EPSILON = 1e-8
ADAM_SIZE = 0.2
"""Root mean square of a typical step of AdamW, divided by its rate."""
NEWTON_STEPS = 5
QUINTIC = 3.4445, -4.7750, 2.0315
SMALLEST_SIDE = 8
KINDS = ("adamw", "muon")


def build(
    model: CVUNet, *, kind: str, ratios: dict[str, float], weight_decay: float
) -> torch.optim.Optimizer:
    """An optimiser whose groups have a ``ratio``: their rate divided by the recipe's.

    ``ratios``: by part of the network ("encoder"); parts not named have 1.
    `TrainingError` if there is no such ``kind``.
    """
    described = describe(model, kind=kind, ratios=ratios, weight_decay=weight_decay)
    if kind == "adamw":
        return torch.optim.AdamW(described, lr=0.0, betas=BETAS, eps=EPSILON)
    return Muon(described)


def describe(
    model: CVUNet, *, kind: str, ratios: dict[str, float], weight_decay: float
) -> list[dict[str, Any]]:  # Any: torch's own group values
    """The groups that `build` gives to the optimiser; arguments and errors are the same."""
    if kind not in KINDS:
        raise TrainingError(f"optimiser: {kind} is unknown; known are {', '.join(KINDS)}")
    groups: dict[tuple[float, bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        is_matrix = kind == "muon" and takes_muon(name, parameter)
        key = ratios.get(name.split(".")[0], 1.0), is_matrix, parameter.ndim > 1
        groups.setdefault(key, []).append(parameter)
    return [
        {
            "params": parameters,
            "ratio": ratio,
            "is_matrix": is_matrix,
            "weight_decay": weight_decay if is_decayed else 0.0,
        }
        for (ratio, is_matrix, is_decayed), parameters in sorted(groups.items())
    ]


def takes_muon(name: str, parameter: Tensor) -> bool:
    """True for hidden matrices; not for the first layer, heads, depth-wise filters and vectors."""
    if parameter.ndim < 2 or "head." in name or "encoder.stem" in name:
        return False
    rows, columns = parameter.shape[0], parameter[0].numel()
    is_depthwise = parameter.ndim == 4 and parameter.shape[1] == 1
    return min(rows, columns) >= SMALLEST_SIDE and not is_depthwise


class Muon(torch.optim.Optimizer):
    """Muon for groups with ``is_matrix``, AdamW for the others."""

    def __init__(self, groups: list[dict[str, Any]]) -> None:  # Any: torch's own group values
        super().__init__(groups, {"lr": 0.0})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step from the current gradients; a closure is not supported."""
        assert closure is None
        for group in self.param_groups:
            move = self.move_matrix if group["is_matrix"] else self.move_plain
            for parameter in learning(group["params"]):
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                move(parameter, group["lr"])
        return None

    def move_matrix(self, parameter: Tensor, rate: float) -> None:
        """Step by Nesterov's momentum, made orthogonal."""
        assert parameter.grad is not None
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"].lerp_(parameter.grad, 1 - MOMENTUM)
        ahead = parameter.grad.lerp(momentum, MOMENTUM)
        step = orthogonal(ahead.reshape(len(ahead), -1))
        size = ADAM_SIZE * math.sqrt(max(step.shape))
        parameter.add_(step.reshape(parameter.shape), alpha=-rate * size)

    def move_plain(self, parameter: Tensor, rate: float) -> None:
        """Adam (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1)."""
        assert parameter.grad is not None
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["mean"] = torch.zeros_like(parameter)
            state["square"] = torch.zeros_like(parameter)
        state["step"] += 1
        mean = state["mean"].lerp_(parameter.grad, 1 - BETAS[0])
        square = state["square"].lerp_(parameter.grad.square(), 1 - BETAS[1])
        correction = math.sqrt(1 - BETAS[1] ** state["step"])
        spread = (square.sqrt() / correction).add_(EPSILON)
        parameter.addcdiv_(mean, spread, value=-rate / (1 - BETAS[0] ** state["step"]))


def learning(parameters: list[nn.Parameter]) -> Iterator[nn.Parameter]:
    """The parameters that have a gradient."""
    return (parameter for parameter in parameters if parameter.grad is not None)


def orthogonal(matrix: Tensor) -> Tensor:
    """RxC to nearly the closest matrix whose singular values are all 1 (Newton-Schulz)."""
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if is_tall else matrix
    x = x / (x.norm() + 1e-7)
    first, second, third = QUINTIC
    for _ in range(NEWTON_STEPS):
        product = x @ x.T
        x = first * x + (second * product + third * product @ product) @ x
    made: Tensor = x.T if is_tall else x
    return made
