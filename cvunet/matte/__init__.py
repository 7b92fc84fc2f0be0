"""From the network's alpha to the finished pixels: edges, colours, crop, confidence.

Not here: the network, and files.
"""

#: What other packages may import. All other modules are private to this package.
__all__ = [
    "adjustments",
    "confidence",
    "extent",
    "foreground",
    "framing",
    "hair",
    "odds",
    "pieces",
    "postprocess",
    "signs",
    "soft_band",
    "touch_up",
]
