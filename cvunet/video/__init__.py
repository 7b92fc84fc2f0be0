"""Clips: from frames to frames with alpha. PyAV is needed only by what reads and writes them.

`signatures` finds clips, `reading` opens them, `writing` encodes segments, `joining` makes the
result of them. Nothing here knows files by name: everything is a binary stream.

`pipeline` makes frames with alpha of frames, `cutting` a whole clip in one process. How:
`shots` (scenes), `looks` (what the network sees), `steadying` (steady edges), `stages` (threads).
"""

#: What other packages may import. All other modules are private to this package.
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
