"""Clips: from frames to frames with alpha. PyAV is needed only by what reads and writes them.

`signatures` finds clips, `reading` opens them, `writing` encodes segments, `joining` makes the
result of them. Nothing here knows files by name: everything is a binary stream.
"""

#: What other packages may import; everything else is private to this one.
__all__ = [
    "av_library",
    "backdrops",
    "clips",
    "cutting",
    "formats",
    "joining",
    "pipeline",
    "reading",
    "signatures",
    "stages",
    "steadying",
    "writing",
]
