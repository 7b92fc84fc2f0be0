"""Starting weights: an encoder converted from a TensorFlow graph, or a network trained before."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from cvunet import weights
from cvunet.errors import TrainingError
from cvunet.network.encoder import (
    InvertedResidual,
    MobileNetV3,
    SameConv,
    SqueezeExcite,
    fold_input_range,
)
from cvunet.network.network import CVUNet
from cvunet.training import shards

FILE = Path("backbone") / "mobilenetv3-large-0.75-coco.npz"
ROOT = "MobilenetV3/"
EXPANSION = "extern1/Conv2D"


def layer_names(index: int, block: InvertedResidual) -> list[tuple[nn.Conv2d, str, str]]:
    """A block's convolutions with the names of their weight and bias in the graph."""
    prefix = f"{ROOT}expanded_conv" + (f"_{index}" if index else "")
    convs = [layer for layer in block.layers if isinstance(layer, nn.Conv2d)]
    parts = ["depthwise/depthwise", "project/Conv2D"]
    if len(convs) == 3:
        parts.insert(0, "expand/Conv2D")
    names = [
        (conv, f"{prefix}/{part}_weights", f"{prefix}/{part}_bn_offset")
        for conv, part in zip(convs, parts, strict=True)
    ]
    for layer in block.layers:
        if isinstance(layer, SqueezeExcite):
            for conv, part in ((layer.reduce, "Conv"), (layer.expand, "Conv_1")):
                stem = f"{prefix}/squeeze_excite/{part}"
                names.append((conv, f"{stem}/weights", f"{stem}/biases"))
    return names


@torch.no_grad()
def load(encoder: MobileNetV3, path: Path) -> None:
    """Fill the encoder in place; `TrainingError` if the file is missing or of another width."""
    names = [
        (encoder.stem, f"{ROOT}Conv/Conv2D_weights", f"{ROOT}Conv/Conv2D_bn_offset"),
        *(
            name
            for index, block in enumerate(encoder.blocks)
            if isinstance(block, InvertedResidual)
            for name in layer_names(index, block)
        ),
    ]
    try:
        with np.load(path) as arrays:
            for conv, weight, bias in names:
                assert conv.bias is not None
                conv.weight.copy_(torch.from_numpy(arrays[weight]))
                conv.bias.copy_(torch.from_numpy(arrays[bias]))
    except (OSError, KeyError, RuntimeError) as error:
        raise TrainingError(f"{path}: does not fit the encoder: {error}") from error
    fold_input_range(encoder.stem)
    load_expansion(encoder, path)


@torch.no_grad()
def load_expansion(encoder: MobileNetV3, path: Path) -> None:
    """Fill the convolution that widens the deepest map, if the encoder has one."""
    if isinstance(encoder.expand, nn.Identity):
        return
    convolution = next(part for part in encoder.expand.modules() if isinstance(part, SameConv))
    assert convolution.bias is not None
    try:
        with np.load(path) as arrays:
            convolution.weight.copy_(torch.from_numpy(arrays[f"{EXPANSION}_weights"]))
            convolution.bias.copy_(torch.from_numpy(arrays[f"{EXPANSION}_bn_offset"]))
    except (OSError, KeyError, RuntimeError) as error:
        raise TrainingError(f"{path}: does not fit the expansion: {error}") from error


def take_over(model: CVUNet, path: Path, *, sha256: str) -> None:
    """Go on from released weights; a refinement that they lack starts as it is.

    ``sha256`` comes from the recipe, so the file needs no entry in the manifest. `TrainingError` if
    the file is missing, is another one, or its network does not fit.
    """
    check(path, sha256)
    try:
        outcome = model.load_state_dict(
            weights.load(path, sha256=sha256).state_dict(), strict=False
        )
    except RuntimeError as error:
        raise TrainingError(f"{path}: does not fit the recipe's network: {error}") from error
    missing = [name for name in outcome.missing_keys if not name.startswith("refine.")]
    if missing or outcome.unexpected_keys:
        names = ", ".join([*missing, *outcome.unexpected_keys])
        raise TrainingError(f"{path}: does not fit the recipe's network: {names}")


def take_what_fits(model: CVUNet, path: Path, *, sha256: str) -> list[str]:
    """Load released weights that fit a larger network by name and shape; return the other names.

    A refinement is not loaded, because the trunk changes before the refinement is trained.
    `TrainingError` if the file is missing or is another one.
    """
    check(path, sha256)
    ours = model.state_dict()
    theirs = weights.load(path, sha256=sha256).state_dict()
    fitting = {
        name: tensor
        for name, tensor in theirs.items()
        if name in ours and ours[name].shape == tensor.shape and not name.startswith("refine.")
    }
    model.load_state_dict(fitting, strict=False)
    return sorted(set(ours) - set(fitting))


def check(path: Path, sha256: str) -> None:
    """`TrainingError` if a file is missing or is not the one that a recipe names."""
    try:
        found = shards.sha256(path)
    except FileNotFoundError as error:
        raise TrainingError(
            f"{path}: there is no such file; models/HISTORY.md says how to get older weights"
        ) from error
    if found != sha256:
        raise TrainingError(f"{path}: SHA-256 is {found}, the recipe starts from {sha256}")
