"""Pixels: decode pool, batcher, warm model, finish pool, and the engines that run them.

The only package that imports cvunet. Other packages give it paths and get paths, never pixels. Does
not belong here: job states.
"""

#: What other packages may import; everything else is private to this one.
__all__ = ["clips", "engines", "finishing", "gauges", "model_facts", "model_files", "predictors"]
