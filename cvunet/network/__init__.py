"""The network CV-UNet: tensors in, one alpha logit per pixel out. Imports only torch.

Not here: devices, batches, files.
"""

#: What other packages may import. All other modules are private to this package.
__all__ = ["cpu_layers", "decoder", "encoder", "export_form", "folding", "network"]
