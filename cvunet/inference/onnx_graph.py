"""The parts of an exported network joined to one ONNX file. The only importer of onnx."""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

FULL, IS_FULL = "full_rows", "is_full"
#: Of the file's format: the one that torch's exporter writes with its operators of version 17.
FORMAT = 8


@dataclass(frozen=True, slots=True)
class Parts:
    """ONNX files of the parts. Where one is None, what comes in goes on unchanged."""

    shrink: bytes | None
    """image to small"""
    trunk: bytes
    """small to coarse and narrowed"""
    refine: bytes | None
    """image, coarse and narrowed to logits"""


def join(parts: Parts, *, input_size: int) -> bytes:
    """The whole network, image to logits.

    A picture of ``input_size`` rows goes through all parts. Any other goes through the trunk alone.
    Both have the same weights, and onnxruntime keeps them once.
    """
    trunk = onnx.load_from_string(parts.trunk)
    opset = trunk.opset_import[0].version
    graph = graph_of(trunk, "trunk", shared={"small", "coarse", "narrowed"})
    nodes = [
        helper.make_node("Shape", ["image"], ["rows"], start=2, end=3),
        helper.make_node("Equal", ["rows", FULL], [IS_FULL]),
        choice(parts.shrink, "shrink", given=["image"], answer="small"),
        *graph.node,
        choice(parts.refine, "refine", given=["coarse", "image", "narrowed"], answer="logits"),
    ]
    whole = helper.make_graph(
        nodes,
        "cvunet",
        [value("image", ["batch", 3, "height", "width"])],
        [value("logits", ["batch", 1, "height", "width"])],
        [numpy_helper.from_array(np.array([input_size], np.int64), FULL), *graph.initializer],
    )
    model = helper.make_model(
        whole,
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=FORMAT,
        producer_name="cvunet",
    )
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def choice(part: bytes | None, name: str, *, given: list[str], answer: str) -> NodeProto:
    """A part that only a picture of the full size goes through; for others, the first input.

    Its weights lie in the branch: there onnxruntime brings them into the order of its kernels.
    """
    if part is None:
        return helper.make_node("Identity", [given[0]], [answer])
    graph = graph_of(onnx.load_from_string(part), name, shared=set(given))
    made = f"{name}{answer}"
    full = helper.make_graph(graph.node, name, [], [value(made)], graph.initializer)
    same = f"{answer}_unchanged"
    unchanged = helper.make_graph(
        [helper.make_node("Identity", [given[0]], [same])], same, [], [value(same)]
    )
    return helper.make_node(
        "If", [IS_FULL], [answer], name=name, then_branch=full, else_branch=unchanged
    )


def graph_of(model: onnx.ModelProto, prefix: str, *, shared: set[str]) -> GraphProto:
    """The graph with all names prefixed, except for ``shared`` ones."""

    def renamed(name: str) -> str:
        return name if not name or name in shared else prefix + name

    graph = model.graph
    for node in graph.node:
        node.name = renamed(node.name)
        for names in (node.input, node.output):
            names[:] = [renamed(name) for name in names]
    for weights in graph.initializer:
        weights.name = renamed(weights.name)
    return graph


def value(name: str, shape: list[str | int] | None = None) -> onnx.ValueInfoProto:
    """An input or an output: float32."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
