"""Events and sweeps of hot folders, when a file is complete, and whether events can be relied on.

Does not belong here: taking a file (lifecycle) or moving it (disk). Only this package imports
watchdog.
"""

#: What other packages may import; everything else is private to this one.
__all__ = [
    "access_errors",
    "backlog",
    "ignored_names",
    "inotify_limits",
    "inventory",
    "left_files",
    "refusals",
    "scan",
    "settle",
    "watch",
    "watch_health",
    "writers",
]
