"""What lies in hot folders: events, sweeps, when a file is whole, whether events can be relied on.

Does not belong here: taking a file (lifecycle) or moving it (disk). Only this package imports
watchdog.
"""

#: What other packages may import; all else is private to this one.
__all__ = ["backlog", "inotify_limits", "scan", "settle", "sight", "watch", "watch_health"]
