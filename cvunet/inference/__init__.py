"""Models on their devices: torch (batches, CUDA graphs, errors) and onnxruntime, and how to choose.

Not here: reading and writing pictures (pictures), edges and colours (matte).
"""

#: What other packages may import. All other modules are private to this package.
__all__ = [
    "export_files",
    "forward",
    "matting",
    "model_files",
    "onnx_predictor",
    "onnx_session",
    "predictor",
    "preparation",
    "runtimes",
    "synthetic_pictures",
    "torch_predictor",
]
