"""Clips: from frames to frames with alpha. PyAV is needed only by what reads and writes them.

`signatures` finds clips, `reading` opens them, `writing` encodes segments, `joining` makes the
result of them. Nothing here knows files by name: everything is a binary stream.
"""
