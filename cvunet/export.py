"""`python -m cvunet.export`: our weights as an ONNX file, for onnxruntime.

The file is written only if onnxruntime gives the same alphas as torch. It is made once for each
weights file, in a process of its own, so that a daemon with onnxruntime never loads torch.
"""

import argparse
import hashlib
import importlib.util
import io
import logging
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from cvunet import weights
from cvunet.errors import CvunetError, ExportError
from cvunet.inference import exports, onnx_predictor, samples
from cvunet.inference.torch_predictor import TorchPredictor
from cvunet.models.description import Description
from cvunet.network import folding
from cvunet.network.network import STRIDE, CVUNet

logger = logging.getLogger(__name__)

OPSET = 17
BLOCKS = 8  # at most; fewer where they do not divide the side
TOLERANCE = 1e-5  # of alpha
RANDOM_PICTURES, SMOOTH_PICTURES = 2, 2


class ExactResizing(TorchFunctionMode):
    """While it is active, `interpolate` to a given size is a product of matrices.

    torch's exporter knows no antialias. onnxruntime's own Resize computes its places in float32,
    which changes an alpha by up to 2e-5 where the ratio is no whole number.
    """

    def __torch_function__(
        self,
        function: Callable[..., object],
        types: object,
        arguments: tuple[Any, ...] = (),  # Any: of any function of torch
        options: dict[str, Any] | None = None,
    ) -> object:
        """Replace the one function, pass on all others."""
        options = options or {}
        if function is not functional.interpolate or options.get("size") is None:
            return function(*arguments, **options)
        rows, columns = (int(side) for side in options["size"])
        is_antialiased = bool(options.get("antialias"))
        image = resize_rows(arguments[0], rows, is_antialiased=is_antialiased).transpose(2, 3)
        return resize_rows(image, columns, is_antialiased=is_antialiased).transpose(2, 3)


def resize_rows(image: Tensor, side: int, *, is_antialiased: bool) -> Tensor:
    """BxCxHxW to BxCxSxW. The matrix is cut into blocks: each pixel comes from a few neighbours."""
    channels, height, width = (int(one) for one in image.shape[1:])
    matrix = functional.interpolate(
        torch.eye(height)[None, None],
        size=(side, height),
        mode="bilinear",
        align_corners=False,
        antialias=is_antialiased,
    )[0, 0]
    count = math.gcd(BLOCKS, side)
    blocks = matrix.reshape(count, side // count, height)
    used = [block.any(0).nonzero().flatten().tolist() for block in blocks]
    reach = max(rows[-1] - rows[0] + 1 for rows in used)
    windows = [torch.arange(reach) + min(rows[0], height - reach) for rows in used]
    weights = torch.stack([block[:, one] for block, one in zip(blocks, windows, strict=True)])
    picked = image.index_select(2, torch.cat(windows))
    picked = picked.reshape(-1, channels, count, reach, width)
    return torch.matmul(weights, picked).reshape(-1, channels, side, width)


class ExportedNetwork(nn.Module):
    """A network for inputs of one size, in operations that ONNX has."""

    def __init__(self, network: CVUNet, *, input_size: int) -> None:
        """``network`` is folded already."""
        super().__init__()
        self.network = network
        self.smaller = max(STRIDE, round(input_size * network.trunk_scale / STRIDE) * STRIDE)

    def forward(self, image: Tensor) -> Tensor:
        """Bx3xSxS in [-1, 1] to logits Bx1xSxS."""
        with ExactResizing():
            small = image
            if self.network.trunk_scale != 1:
                small = functional.interpolate(
                    image,
                    size=(self.smaller, self.smaller),
                    mode="bilinear",
                    align_corners=False,
                    antialias=True,
                )
            return self.network.refine_logits(image, self.network.decode(small)[-1])


def to_onnx(model: CVUNet, *, input_size: int) -> bytes:
    """The network as an ONNX file; the number of pictures in a batch is left open.

    `ExportError` if torch's exporter lacks the library that it writes with.
    """
    if importlib.util.find_spec("onnx") is None:
        raise ExportError("torch exports with the library onnx: pip install 'cvunet-daemon[onnx]'")
    folded = folding.fold_for_inference(model, torch.float32)
    assert isinstance(folded, CVUNet)
    network = ExportedNetwork(folded, input_size=input_size).eval()
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode():
        # The exporter of TorchScript is deprecated; the new one needs onnxscript. A trace holds for
        # one size, which is all that we need.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, input_size, input_size),),
            buffer,  # type: ignore[arg-type]  # the old exporter takes a stream too
            dynamo=False,
            opset_version=OPSET,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
        )
    return buffer.getvalue()


def test_pictures(side: int) -> Iterator[NDArray[np.uint8]]:
    """Noise, and pictures with smooth shapes and edges as photos have them, SxSx3."""
    yield from samples.noise(side, RANDOM_PICTURES)
    yield from (samples.shape(side, side, number) for number in range(SMOOTH_PICTURES))


def compare(model: CVUNet, path: Path, description: Description) -> float:
    """The largest difference of an alpha between torch and onnxruntime, of all test pictures."""
    side = description.width
    reference = TorchPredictor(
        model, device=torch.device("cpu"), precision="float32", input_size=side
    )
    exported = onnx_predictor.open_predictor(path, description, device="cpu", threads=None)
    return max(
        float(np.abs(ours - theirs).max())
        for picture in test_pictures(side)
        for ours, theirs in zip(
            reference.predict([picture]), exported.predict([picture]), strict=True
        )
    )


def export(source: Path, target: Path, *, input_size: int) -> float:
    """Write the ONNX file and its description; returns the largest difference of an alpha.

    `WeightsError` as `weights.load`. `ExportError` if both runtimes do not agree to `TOLERANCE`, or
    if the file cannot be written; then nothing is left.
    """
    model = weights.load(source)
    data = to_onnx(model, input_size=input_size)
    description = exports.description_of(
        hashlib.sha256(data).hexdigest(), len(data), input_size=input_size
    )
    with exports.unfinished(target, data) as part:
        difference = compare(model, part, description)
        if not difference <= TOLERANCE:
            raise ExportError(
                f"{source}: onnxruntime and torch differ by {difference:.2g} in an alpha, more than"
                f" {TOLERANCE:g}: use runtime: torch"
            )
        exports.publish(part, target, description)
    return difference


def main(arguments: list[str]) -> int:
    """Run the command; exit status 0: written, 1: could not be written."""
    parser = argparse.ArgumentParser(prog="python -m cvunet.export", description=__doc__)
    parser.add_argument(
        "weights", type=Path, nargs="?", metavar="FILE", help="default: the installed weights"
    )
    parser.add_argument("--out", type=Path, help="the ONNX file; default: beside the weights")
    parser.add_argument("--input-size", type=int, default=512, help="side in pixels (512)")
    options = parser.parse_args(arguments)
    try:
        source = options.weights or weights.installed()
        target = options.out or exports.place(source, source.parent, options.input_size)
        difference = export(source, target, input_size=options.input_size)
    except (CvunetError, OSError) as error:
        logger.error("%s", error)
        return 1
    logger.info("%s: written; alphas differ from torch's by %.1g at most", target, difference)
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(main(sys.argv[1:]))
