"""Files on disk, safely: opened with care, made durable, moved by rename, deleted by descriptor.

Does not belong here: the decision what to move or delete, and job states.
"""

#: What other packages may import; everything else is private to this one.
__all__ = [
    "checksums",
    "comparison",
    "crash_notes",
    "deletion",
    "drop_names",
    "files",
    "free_space",
    "inode_numbers",
    "lock",
    "mounts",
    "moves",
    "publication",
    "quarantine_names",
    "safe_open",
    "segments",
    "store",
    "syncs",
    "tree",
    "uploads",
]
