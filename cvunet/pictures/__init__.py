"""Reading and writing pictures: formats, samples, colour profiles, metadata, damage, bombs.

Not here: alpha mattes and the network. Only this package imports Pillow.
"""

#: What other packages may import. All other modules are private to this package.
__all__ = [
    "bit_depth",
    "encoding",
    "metadata",
    "png",
    "profiles",
    "reading",
    "resample",
    "resolution",
    "signatures",
    "sources",
]
