"""The predictor: a network on its device, batches, CUDA graphs, what torch's errors mean.

Not here: reading and writing pictures (pictures), edges and colours (matte).
"""

#: What other packages may import. All other modules are private to this package.
__all__ = ["matting", "predictor", "torch_predictor"]
