"""A job from intake to delivery, and what is done about jobs that an earlier life left behind.

Does not belong here: the order of all this (service), pixels (worker), system calls on
files (disk).
"""

#: What other packages may import; all else is private to this one.
__all__ = [
    "claim_guard",
    "claim_recovery",
    "closing",
    "completion",
    "counters",
    "delivery",
    "dispatcher",
    "drops",
    "failures",
    "folder_registry",
    "intake",
    "job_recovery",
    "ledger_outage",
    "leftovers",
    "naming",
    "originals",
    "placement",
    "recovery",
    "rejection",
    "requeue",
    "results",
    "standby",
]
