"""Tiny ONNX files as the families have them: their inputs and outputs, and next to no computing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
Side = int | str | None


def write(
    path: Path,
    *,
    shape: Sequence[Side] = (1, 3, 320, 320),
    outputs: int = 1,
    gain: float = 1.0,
    channel: int = 0,
    kind: str = "float",
    inputs: int = 1,
    domain: str = "",
) -> Path:
    """A model whose first answer is one channel of its input times ``gain``; others are 0."""
    helper: Any = onnx.helper
    element = {"float": onnx.TensorProto.FLOAT, "float16": onnx.TensorProto.FLOAT16}.get(
        kind, onnx.TensorProto.INT32
    )
    axis = 3 if shape[-1] == 3 else 1
    given = [
        helper.make_tensor_value_info(f"input.{n + 1}", element, list(shape)) for n in range(inputs)
    ]
    answers = [helper.make_tensor_value_info(f"answer.{n}", element, None) for n in range(outputs)]
    number = {"float": onnx.TensorProto.FLOAT, "float16": onnx.TensorProto.FLOAT16}.get(
        kind, onnx.TensorProto.INT32
    )
    constants = [
        helper.make_tensor("start", onnx.TensorProto.INT64, [1], [channel]),
        helper.make_tensor("end", onnx.TensorProto.INT64, [1], [channel + 1]),
        helper.make_tensor("axis", onnx.TensorProto.INT64, [1], [axis]),
        helper.make_tensor("gain", number, [], [gain]),
        helper.make_tensor("zero", number, [], [0]),
    ]
    nodes = [
        helper.make_node("Slice", ["input.1", "start", "end", "axis"], ["one"]),
        helper.make_node("Mul", ["one", "gain"], ["answer.0"], domain=domain),
        *(helper.make_node("Mul", ["one", "zero"], [f"answer.{n}"]) for n in range(1, outputs)),
    ]
    graph = helper.make_graph(nodes, "tiny", given, answers, constants)
    opsets = [helper.make_opsetid("", 17)]
    if domain:
        opsets.append(helper.make_opsetid(domain, 1))
    model = helper.make_model(graph, opset_imports=opsets)
    model.ir_version = 8
    path.write_bytes(model.SerializeToString())
    return path
