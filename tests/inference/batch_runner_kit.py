"""Batches without CUDA: the same steps on a CPU, with fakes as strict as captured passes."""

import torch
from torch import Tensor

from cvunet.inference.cuda_graphs import ForwardPass

SIDE = 32
CPU = torch.device("cpu")


def brightness(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """A forward pass: alpha is the red channel; a picture of 255 alone is not finite."""
    alphas = pixels[..., 0].float() / 255
    return alphas, (pixels != 255).flatten(1).any(1)


class Recording:
    """Replays in the very memory that it was recorded with, as a CUDA graph does."""

    def __init__(self, forward_pass: ForwardPass, shape: tuple[int, ...]) -> None:
        self.forward_pass = forward_pass
        self.pixels = torch.zeros(shape, dtype=torch.uint8)
        self.outputs = forward_pass(self.pixels)
        self.replays = 0

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """As `ForwardPass`; what was answered before is overwritten."""
        assert pixels.shape == self.pixels.shape, "a graph has one shape"
        self.pixels.copy_(pixels)
        for kept, new in zip(self.outputs, self.forward_pass(self.pixels), strict=True):
            kept.copy_(new)
        self.replays += 1
        return self.outputs


class GraphRecorder:
    """Stands for `cuda_graphs.GraphRecorder`; fails with what it is given, largest shape first."""

    def __init__(self) -> None:
        self.made: list[tuple[int, Recording]] = []
        self.failures: dict[int, RuntimeError] = {}
        self.pools = 1

    @property
    def sizes(self) -> list[int]:
        """Recorded so far, in order."""
        return [size for size, _ in self.made]

    def reset_pool(self) -> None:
        """Another pool."""
        self.pools += 1

    def record(self, forward_pass: ForwardPass, shape: tuple[int, int, int, int]) -> ForwardPass:
        """A recording, or a failure."""
        if failure := self.failures.get(shape[0]):
            raise failure
        recording = Recording(forward_pass, shape)
        self.made.append((shape[0], recording))
        return recording
