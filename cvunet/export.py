"""`python -m cvunet.export`: our weights as an ONNX file, for onnxruntime.

The file is written only if onnxruntime gives the same alphas as torch. It is made once for each
weights file, in a process of its own, so that a daemon with onnxruntime never loads torch.
"""

import argparse
import hashlib
import importlib.util
import io
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cvunet import weights
from cvunet.errors import CvunetError, ExportError
from cvunet.inference import export_files, forward, onnx_predictor, runtimes, synthetic_pictures
from cvunet.models.description import Description
from cvunet.network import export_form, folding
from cvunet.network.network import CVUNet

logger = logging.getLogger(__name__)

OPSET = 17
TOLERANCE = 1e-5  # of alpha
RANDOM_PICTURES, SMOOTH_PICTURES = 2, 2


def to_onnx(model: CVUNet, *, input_size: int) -> bytes:
    """The network as an ONNX file; the number of pictures in a batch is left open.

    `ExportError` if torch's exporter lacks the library that it writes with.
    """
    if importlib.util.find_spec("onnx") is None:
        raise ExportError("torch exports with the library onnx: pip install 'cvunet-daemon[onnx]'")
    network = folding.fold_for_inference(model, torch.float32)
    assert isinstance(network, CVUNet)
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode():
        # The exporter of TorchScript is deprecated; the new one needs onnxscript.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            export_form.Exported(network, input_size).eval(),
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
    yield from synthetic_pictures.noise(side, RANDOM_PICTURES)
    yield from (synthetic_pictures.shape(side, side, number) for number in range(SMOOTH_PICTURES))


def compare(model: CVUNet, path: Path, description: Description) -> float:
    """The largest difference of an alpha between torch and onnxruntime, of all test pictures.

    torch computes the network's own layers, not the forms that it shares with the export.
    """
    written = onnx_predictor.open_predictor(path, description, device="cpu", threads=None)
    differences = []
    for one in test_pictures(description.width):
        with torch.inference_mode():
            alphas, _ = forward.predict_alphas(
                model, torch.from_numpy(one)[None], dtype=torch.float32, is_mirrored=False
            )
        differences.append(float(np.abs(alphas[0].numpy() - written.predict([one])[0]).max()))
    return float(np.max(differences))  # not a number if one of them is none


def export(source: Path, target: Path, *, input_size: int) -> float:
    """Write the ONNX file and its description; returns the largest difference of an alpha.

    `WeightsError` as `weights.load`. `ExportError` if both runtimes do not agree to `TOLERANCE`, or
    if the file cannot be written; then nothing is left.
    """
    model = weights.load(source)
    data = to_onnx(model, input_size=input_size)
    description = export_files.description_of(
        hashlib.sha256(data).hexdigest(), len(data), input_size=input_size
    )
    with export_files.unfinished(target, data) as part:
        difference = compare(model, part, description)
        if not difference <= TOLERANCE:
            raise ExportError(
                f"{source}: onnxruntime and torch differ by {difference:.2g} in an alpha, more than"
                f" {TOLERANCE:g}: use runtime: torch"
            )
        export_files.publish(part, target, description)
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
        runtimes.check_input_size(options.input_size)
        source = options.weights or weights.installed()
        target = options.out or export_files.place(source, source.parent, options.input_size)
        difference = export(source, target, input_size=options.input_size)
    except (CvunetError, OSError) as error:
        logger.error("%s", error)
        return 1
    logger.info("%s: written; alphas differ from torch's by %.1g at most", target, difference)
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(main(sys.argv[1:]))
