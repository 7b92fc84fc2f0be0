"""The predictor: a network on its device, batches, CUDA graphs, what torch's errors mean.

Does not belong here: reading and writing pictures (pictures), edges and colours (matte).
"""

#: What other packages may import; all else is private to this one.
__all__ = ["matting"]
