"""What is known of a model's file: its hash, its input, its answer, its licence. No torch.

Not here: running a model (inference), and the weights of CV-UNet as torch reads them (weights).
"""

#: What other packages may import. All other modules are private to this package.
__all__ = ["description", "families", "manifest"]
