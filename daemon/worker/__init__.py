"""Pixels: decode pool, batcher, warm model, finish pool, and the engines that run them.

The only package that imports cvunet. Only paths cross its border. Does not belong here: job states.
"""

#: What other packages may import; all else is private to this one.
__all__ = ["engines", "finishing", "gauges", "predictors"]
