"""The averaged weights, which are what ships."""

from copy import deepcopy

import torch

from cvunet.network.network import CVUNet


class Average:
    """Exponential moving average of a model's weights and of its norms' statistics."""

    def __init__(self, model: CVUNet) -> None:
        self.model = deepcopy(model).eval()

    @torch.no_grad()
    def update(self, model: CVUNet, step: int, *, decay: float) -> None:
        """Young averages follow faster, so that the start is forgotten."""
        decay = min(decay, (1 + step) / (10 + step))
        means, news = self.model.state_dict(), model.state_dict()
        floating = [name for name, mean in means.items() if mean.is_floating_point()]
        # All at once: on a GPU a launch for each of 500 tensors would take a tenth of a step.
        torch._foreach_lerp_(
            [means[name] for name in floating], [news[name] for name in floating], 1 - decay
        )
        for name in means.keys() - floating:
            means[name].copy_(news[name])
