"""`python -m benchmarks.gpu_providers`: the exported network by each of onnxruntime's providers.

CUDA in float32 and float16, and TensorRT in float16, if this onnxruntime has them; the CPU is the
reference. One that is absent or does not start is told in its line. Without a GPU this shows that
the program itself works.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.runtimes import SIZE
from cvunet.inference import export_files, onnx_session

CPU, CUDA, TENSORRT = (f"{name}ExecutionProvider" for name in ("CPU", "CUDA", "Tensorrt"))
PASSES = 20


def variants(path: Path, half: Path) -> Iterator[tuple[str, Path, str, dict[str, object]]]:
    """Name, file, provider and its options."""
    yield "CPU, float32", path, CPU, {}
    yield "CPU, float16", half, CPU, {}
    yield "CUDA, float32", path, CUDA, {"cudnn_conv_algo_search": "HEURISTIC"}
    yield "CUDA, float16", half, CUDA, {"cudnn_conv_algo_search": "HEURISTIC"}
    yield "TensorRT, float16", path, TENSORRT, {"trt_fp16_enable": True}


def write_half(path: Path, half: Path) -> None:
    """Write the network in float16; its input and its answer stay float32."""
    onnx_session.load()  # first, because it switches telemetry off
    import onnx
    from onnxruntime.transformers.float16 import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
        convert_float_to_float16,
    )

    onnx.save(convert_float_to_float16(onnx.load(str(path)), keep_io_types=True), str(half))


def answers(
    path: Path, provider: str, options: dict[str, object], image: NDArray[np.float32], passes: int
) -> tuple[NDArray[np.float32], float]:
    """The logits of one picture, and the median time of a pass in ms."""
    onnxruntime = onnx_session.load()
    if provider not in onnxruntime.get_available_providers():
        raise RuntimeError("this onnxruntime has no such provider")
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3
    session: Any = onnxruntime.InferenceSession(str(path), quiet, providers=[(provider, options)])
    if session.get_providers()[0] != provider:
        raise RuntimeError("it fell back to the CPU")
    given = {session.get_inputs()[0].name: image}
    found = session.run(None, given)[0]  # the first pass plans
    times = []
    for _ in range(passes):
        began = time.perf_counter()
        session.run(None, given)
        times.append((time.perf_counter() - began) * 1e3)
    return found.astype(np.float32), float(np.median(times))


def main() -> None:
    """Print a line for each way."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_providers", description=__doc__)
    parser.add_argument("--weights", type=Path, default=Path("models/cvunet.pth"))
    parser.add_argument("--passes", type=int, default=PASSES)
    options = parser.parse_args()
    image = np.random.default_rng(0).standard_normal((1, 3, SIZE, SIZE)).astype(np.float32)
    with TemporaryDirectory() as folder:
        path, _ = export_files.find_or_make(options.weights, (Path(folder),), input_size=SIZE)
        half = Path(folder) / "half.onnx"
        write_half(path, half)
        reference = None
        for name, file, provider, settings in variants(path, half):
            try:
                found, each_ms = answers(file, provider, settings, image, options.passes)
            except Exception as error:  # noqa: BLE001  # each of them fails in its own way
                print(f"{name:<20} not measured: {' '.join(str(error).split())[:200]}")
                continue
            reference = found if reference is None else reference
            worst = float(np.abs(found - reference).max())
            print(f"{name:<20} {each_ms:8.1f} ms a pass, logits differ by {worst:.4f} at most")


if __name__ == "__main__":
    main()
