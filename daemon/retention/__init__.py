"""What is old enough to be deleted, and whether the clock can be trusted.

Does not belong here: the deletion of single files (disk).
"""

#: What other packages may import; everything else is private to this one.
__all__ = ["clock_trust", "contents", "kept_originals", "retention"]
