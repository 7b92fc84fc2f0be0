"""What a run leaves behind every minute; at most six files, none above 16 MiB."""

import io
import logging
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from cvunet import files
from cvunet.network.network import CVUNet, NetworkConfig
from cvunet.training import checkpoints
from cvunet.training.gpu.batches import Batch
from cvunet.training.gpu.learning import Learner, autocast
from cvunet.training.gpu.starts import MOMENTS, STATE
from cvunet.training.shards import Pixels
from cvunet.training.validation import LOUD

logger = logging.getLogger(__name__)

MOST_BYTES = 16 * 1024 * 1024
"""A larger file may not find its way back from a machine that is lent."""
SHEET = "sheet.jpg"
SHEET_SAMPLES = 24
SHEET_COLUMNS = 12
CELL_PX = 144
QUALITY = 85
RIM = 0, 255, 0


def packed(state: dict[str, object]) -> bytes:
    """Return a state as `torch.save` writes it."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def write(folder: Path, name: str, data: bytes) -> None:
    """Write a file whole; a warning if it is larger than may come back."""
    if len(data) > MOST_BYTES:
        logger.warning(
            "%s is %.1f MB, more than 16 MiB: it may be left behind", name, len(data) / 1e6
        )
    files.write_whole(folder / name, data)


def save(folder: Path, learner: Learner, *, config: NetworkConfig, known: dict[str, float]) -> None:
    """Averaged weights in half precision, then the state that `starts.resume` reads.

    ``known``: share of the schedule, next batch and whatever else is to be kept.
    """
    checkpoints.write_average(
        folder,
        learner.average.model,
        config=config,
        provenance={"step": learner.step, **known},
    )
    model = {name: tensor.cpu() for name, tensor in learner.model.state_dict().items()}
    write(folder, STATE, packed({"model": model, "step": learner.step, **known}))
    write(folder, MOMENTS, packed(moments(learner)))


def moments(learner: Learner) -> dict[str, object]:
    """The optimiser's memory in bfloat16: in float32 it would be two files' worth."""
    steps: dict[str, float] = {}
    means: dict[str, Tensor] = {}
    squares: dict[str, Tensor] = {}
    for name, parameter in learner.model.named_parameters():
        state = learner.optimiser.state.get(parameter)
        if state:
            steps[name] = float(state["step"])
            means[name] = state["exp_avg"].to(torch.bfloat16).cpu()
            squares[name] = state["exp_avg_sq"].to(torch.bfloat16).cpu()
    return {"step": learner.step, "steps": steps, "means": means, "squares": squares}


@torch.no_grad()
def answers(model: CVUNet, batch: Batch, *, is_trunk_only: bool) -> Tensor:
    """Alpha Bx1xSxS that the averaged weights give."""
    image = (batch.rgb * 2 - 1).contiguous(memory_format=torch.channels_last)
    forward = model.trunk_supervised if is_trunk_only else model.forward_supervised
    with autocast(batch.rgb.device):
        logits, _ = forward(image)
    return logits.float().sigmoid()


def bytes_of(planes: Tensor) -> Pixels:
    """CxSxS in [0, 1] to SxSxC, 0..255."""
    pixels: Pixels = (planes.clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(1, 2, 0).numpy()
    return pixels


def on_loud(rgb: Tensor, alpha: Tensor) -> Tensor:
    """Lay a picture 3xSxS on magenta."""
    loud = torch.tensor(LOUD, dtype=torch.float32)[:, None, None] / 255
    return rgb * alpha + loud * (1 - alpha)


def sheet(batch: Batch, predicted: Tensor | None) -> Pixels:
    """Columns of sample, truth (the rim that does not count in green) and answer, HxWx3."""
    count = min(SHEET_SAMPLES, len(batch.rgb))
    rgb, alpha, known = (each[:count].cpu() for each in (batch.rgb, batch.alpha, batch.known))
    answered = None if predicted is None else predicted[:count].cpu()
    green = torch.tensor(RIM, dtype=torch.float32)[:, None, None] / 255
    columns = []
    for number in range(count):
        truth = torch.where(known[number] > 0, on_loud(rgb[number], alpha[number]), green)
        parts = [rgb[number], truth]
        if answered is not None:
            parts.append(on_loud(rgb[number], answered[number]))
        size = CELL_PX, CELL_PX
        cells = [cv2.resize(bytes_of(p), size, interpolation=cv2.INTER_AREA) for p in parts]
        columns.append(np.concatenate(cells).astype(np.uint8))
    width = min(SHEET_COLUMNS, count)
    rows = [
        np.concatenate(columns[first : first + width], axis=1)
        for first in range(0, count - width + 1, width)
    ]
    return np.concatenate(rows)


def write_sheet(folder: Path, batch: Batch, predicted: Tensor) -> None:
    """The sheet as a JPEG."""
    pixels = np.ascontiguousarray(sheet(batch, predicted)[..., ::-1])
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    write(folder, SHEET, data.tobytes())
