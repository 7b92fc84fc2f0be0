"""Reading and writing pictures: formats, samples, colour profiles, metadata, damage, bombs.

Does not belong here: anything about alpha mattes or the network. Only this package imports Pillow.
"""

#: What other packages may import; all else is private to this one.
__all__ = ["bit_depth", "encoding", "metadata", "profiles", "reading"]
