"""Mixed precision where it is faster."""

import torch

from cvunet.inference import torch_predictor


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 on CUDA and on CPUs that have instructions for it, else float32.

    Where a CPU emulates bfloat16, a training step takes six times as long.
    """
    is_fast = torch_predictor.choose_precision("auto", device) != torch.float32
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=is_fast)
