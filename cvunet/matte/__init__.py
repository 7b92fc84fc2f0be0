"""From the network's alpha to the pixels that users get: edges, colours, crop, confidence.

Does not belong here: the network, and files.
"""

#: What other packages may import; all else is private to this one.
__all__ = ["confidence", "foreground", "framing", "postprocess"]
