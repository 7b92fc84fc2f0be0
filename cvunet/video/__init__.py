"""Clips: from frames to frames with alpha. PyAV is needed only by what reads and writes them."""
