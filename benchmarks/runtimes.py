"""`python -m benchmarks.runtimes --data FOLDER`: the network by every runtime that is installed.

Each way runs the shipped weights on a CPU. Processor time and wall time of one pass are medians in
turns, so that all ways meet the same load of the machine. The error is that of validation photos.
int8 is static, QDQ, one scale for each channel, calibrated on training photos.
"""

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet import files, scores, yaml_files
from cvunet.inference import export_files, onnx_session
from cvunet.inference.onnx_predictor import sigmoid
from cvunet.matte import postprocess
from cvunet.models import description
from cvunet.training import cases, samples

SIZE = 512
CALIBRATION_PHOTOS = 64
#: int8 is accepted if the error grows by less than this share.
ACCEPTED_GROWTH = 0.02
#: The way that costs no quality: most of the time, and few layers.
ACCEPTED = "int8, decoder's 3x3"
#: Parts of a convolution's name by which "int8, without ends" leaves it in float32.
ENDS = ("/stem/", "/attend/", "/head/", "/refine/", "/reduce/", "/expand/")
Alpha = NDArray[np.float32]
Small = NDArray[np.uint8]
Network = Callable[[Small], Alpha]


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one way."""

    name: str
    processor_ms: float
    wall_ms: float
    error: float
    difference: float
    """Mean difference of its alphas from those of the first way."""


def image_of(small: Small) -> NDArray[np.float32]:
    """A picture SxSx3 as the exported network takes it: 1x3xSxS in [-1, 1]."""
    image: NDArray[np.float32] = small.transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1
    return np.ascontiguousarray(image)


def by_onnxruntime(
    path: Path, *, threads: int, spins: bool = False, providers: Any = ("CPUExecutionProvider",)
) -> Network:  # Any: onnxruntime has no types
    """The exported network in onnxruntime."""
    onnxruntime = onnx_session.load()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spins)))
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=list(providers))
    name = session.get_inputs()[0].name
    return lambda small: sigmoid(session.run(None, {name: image_of(small)})[0][0, 0])


def by_torch(weights: Path, precision: Any) -> Network:  # Any: a name of a precision
    """Our own weights in torch, one thread."""
    from cvunet.inference import torch_predictor

    predictor = torch_predictor.open_predictor(
        weights, device="cpu", precision=precision, input_size=SIZE
    )
    torch_predictor.use_one_thread()
    return lambda small: predictor.predict([small])[0]


def quantise(
    path: Path, target: Path, smalls: list[Small], *, is_chosen: Callable[[Any], bool]
) -> None:  # Any: a node of onnx
    """Write the network with the chosen convolutions in int8; all else stays in float32."""
    import onnx
    from onnxruntime.quantization import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    model = onnx.load(str(path))
    given = model.graph.input[0].name

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # has no types
        """Feeds the calibration."""

        def __init__(self) -> None:
            self.left = iter(smalls)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            """Return the next input."""
            small = next(self.left, None)
            return None if small is None else {given: image_of(small)}

    quantize_static(
        str(path),
        str(target),
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv"],
        nodes_to_quantize=[
            node.name for node in model.graph.node if node.op_type == "Conv" and is_chosen(node)
        ],
        calibrate_method=CalibrationMethod.MinMax,
    )


def small_of(case: cases.Case) -> tuple[Small, Alpha]:
    """A photo at the network's size, with its true alpha."""
    rgb, mask = case.load()
    truth = cv2.resize(mask, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return postprocess.shrink(rgb, width=SIZE, height=SIZE), (truth / 255).astype(np.float32)


def chosen(data: Path, side: Any, count: int) -> list[tuple[Small, Alpha]]:  # Any: "train" | "val"
    """Photos from all over a set."""
    found = cases.photos(samples.open_sources(data, side))
    order = np.random.default_rng(0).permutation(len(found))[:count]
    return [small_of(found[one]) for one in order]


def ways(options: argparse.Namespace, folder: Path) -> Iterator[tuple[str, Network]]:
    """Every way that this machine has, float32 in onnxruntime first."""
    path, _ = export_files.find_or_make(options.weights, (folder,), input_size=SIZE)
    yield "onnxruntime, float32, 1 thread", by_onnxruntime(path, threads=1)
    yield "onnxruntime, 2 threads", by_onnxruntime(path, threads=2)
    yield "onnxruntime, 2 threads, spinning", by_onnxruntime(path, threads=2, spins=True)
    yield "torch, float32", by_torch(options.weights, "float32")
    yield "torch, bfloat16", by_torch(options.weights, "bfloat16")
    photos = [small for small, _ in chosen(options.data, "train", CALIBRATION_PHOTOS)]
    variants: dict[str, Callable[[Any], bool]] = {  # Any: a node of onnx
        "int8, all convolutions": lambda node: True,
        "int8, 1x1 convolutions": lambda node: kernel_of(node) == (1, 1),
        ACCEPTED: lambda node: kernel_of(node) == (3, 3) and "/join" in node.name,
        "int8, without ends": lambda node: (
            group_of(node) == 1 and not any(part in node.name for part in ENDS)
        ),
    }
    for name, chosen_nodes in variants.items():
        target = folder / f"{name}.onnx"
        quantise(path, target, photos, is_chosen=chosen_nodes)
        yield f"onnxruntime, {name}", by_onnxruntime(target, threads=1)


def kernel_of(node: Any) -> tuple[int, ...]:  # Any: a node of onnx
    """Return the sides of a convolution's kernel."""
    return tuple(next(one.ints for one in node.attribute if one.name == "kernel_shape"))


def group_of(node: Any) -> int:  # Any: a node of onnx
    """Return the groups of a convolution: more than one if it is depthwise."""
    return next((int(one.i) for one in node.attribute if one.name == "group"), 1)


def timed(network: Network, small: Small) -> tuple[float, float]:
    """Processor time and wall time of one pass, in ms."""
    wall, processor = time.perf_counter(), time.process_time()
    network(small)
    return (time.process_time() - processor) * 1e3, (time.perf_counter() - wall) * 1e3


def measure(found: dict[str, Network], photos: list[tuple[Small, Alpha]], turns: int) -> list[Row]:
    """All ways on the same photos; times in turns."""
    alphas = {name: [network(small) for small, _ in photos] for name, network in found.items()}
    first = next(iter(alphas.values()))
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in found}
    for turn in range(turns):
        for name, network in found.items():
            times[name].append(timed(network, photos[turn % len(photos)][0]))
    rows = []
    for name, own in alphas.items():
        errors = [
            scores.mean_absolute_error(alpha, truth)
            for alpha, (_, truth) in zip(own, photos, strict=True)
        ]
        differences = [float(np.abs(a - b).mean()) for a, b in zip(own, first, strict=True)]
        processor, wall = np.median(np.array(times[name]), axis=0)
        means = float(np.mean(errors)), float(np.mean(differences))
        rows.append(Row(name, float(processor), float(wall), *means))
    return rows


def keep(weights: Path, folder: Path, target: Path, rows: list[Row]) -> str:
    """Copy the accepted network in int8 with its description; returns what was done, or why not."""
    name = f"onnxruntime, {ACCEPTED}"
    row = next(one for one in rows if one.name == name)
    grows = row.error / rows[0].error - 1
    if grows >= ACCEPTED_GROWTH or row.processor_ms >= rows[0].processor_ms:
        return f"{target} is not written: the error grows by {grows:.1%}, or it is no faster"
    data = (folder / f"{ACCEPTED}.onnx").read_bytes()
    _, described = export_files.find_or_make(weights, (folder,), input_size=SIZE)
    described = replace(described, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
    files.write_whole(target, data)
    entry = yaml_files.text(description.to_entry(described)).encode()
    files.write_whole(target.with_suffix(".yaml"), entry)
    return f"{target} is written: name it in config.yaml, models: {{cvunet: {target}}}"


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.runtimes", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=Path("models/cvunet.pth"))
    parser.add_argument("--photos", type=int, default=80)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--keep", type=Path, help="write the network in int8 there, if accepted")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = dict(ways(options, Path(folder)))
        rows = measure(found, chosen(options.data, "val", options.photos), options.turns)
        kept = keep(options.weights, Path(folder), options.keep, rows) if options.keep else ""
    print(f"{options.photos} validation photos, load of the machine {os.getloadavg()[0]:.0f}")
    print(f"{'way':<46}{'processor ms':>13}{'ms':>7}{'ratio':>7}{'MAD':>9}{'grows':>8}{'diff':>9}")
    for row in rows:
        print(
            f"{row.name:<46}{row.processor_ms:13.0f}{row.wall_ms:7.0f}"
            f"{row.processor_ms / rows[0].processor_ms:7.2f}{row.error:9.5f}"
            f"{row.error / rows[0].error - 1:8.1%}{row.difference:9.5f}"
        )
    if kept:
        print(kept)


if __name__ == "__main__":
    main()
