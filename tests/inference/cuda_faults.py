"""Recordings that fail, for real: `python -m tests.inference.cuda_faults NAME` tells of one.

In processes of their own, for a recording that failed may leave torch's allocator believing that it
still goes on, or holding its memory (pytorch/pytorch#180395, #190308).
"""

import json
import logging
import sys

import numpy as np
import torch
from torch import Tensor, nn

from cvunet.errors import CvunetError
from cvunet.inference.cuda_graphs import CapturedPass
from cvunet.inference.torch_predictor import TorchPredictor

SIDE = 64
DEVICE = torch.device("cuda:0")


class Hungry(nn.Module):
    """Takes half of the card for each picture beyond two, while it is recorded and not before."""

    def forward(self, image: Tensor) -> Tensor:
        if torch.cuda.is_current_stream_capturing():
            total = torch.cuda.get_device_properties(image.device).total_memory
            hoard = [
                torch.empty(total // 2, dtype=torch.uint8, device=image.device)
                for _ in range(len(image) - 2)
            ]
            assert len(hoard) <= 2, "no card holds three halves of itself"
        return image[:, :1] * 1.0


class Waiting(nn.Module):
    """Waits for the device in its midst, which no recording stands."""

    def forward(self, image: Tensor) -> Tensor:
        level = float(image.float().mean().item())
        return image[:, :1] + 0.0 * level


class Names(logging.Handler):
    """Who has warned."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.names: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """One more."""
        self.names.append(record.name)


def predictor(model: nn.Module) -> TorchPredictor:
    """Warm for one and two pictures."""
    made = TorchPredictor(model, device=DEVICE, precision="float32", input_size=SIDE)
    made.warm([2, 1])
    return made


def plain(*levels: int) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    """Pictures of one level each."""
    return [np.full((SIDE, SIDE, 3), level, np.uint8) for level in levels]


def hungry() -> dict[str, object]:
    """Too little memory in the midst of a recording."""
    made = predictor(Hungry())
    assert made.batch_runner is not None
    error: CvunetError | None = None
    try:
        made.warm([5])
    except CvunetError as problem:
        error = problem
    outputs = len(made.predict(plain(0, 255)))
    made.warm([1])
    ready = made.batch_runner.captured
    return {
        "error": str(error),
        "kind": type(error).__name__,
        "answers": outputs,
        "recorded": {
            str(size): isinstance(forward_pass, CapturedPass)
            for size, forward_pass in ready.items()
        },
    }


def waiting() -> dict[str, object]:
    """What cannot be recorded at all."""
    names = Names()
    logging.getLogger().addHandler(names)
    made = predictor(Waiting())
    assert made.batch_runner is not None
    outputs = [float(alpha[0, 0]) for alpha in made.predict(plain(0, 255, 0))]
    return {
        "is_recording": made.batch_runner.recorder is not None,
        "warnings": names.names,
        "answers": outputs,
    }


if __name__ == "__main__":
    json.dump({"hungry": hungry, "waiting": waiting}[sys.argv[1]](), sys.stdout)
