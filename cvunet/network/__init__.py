"""CV-UNet itself: tensors in, one alpha logit per pixel out. Imports torch and nothing of ours.

Does not belong here: devices, batches, files.
"""

#: What other packages may import; all else is private to this one.
__all__ = ["decoder", "encoder", "folding", "network"]
