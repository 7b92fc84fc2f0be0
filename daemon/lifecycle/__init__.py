"""A job from intake to delivery, and what is done about jobs that an earlier life left behind.

Does not belong here: the order of all this (service), pixels (worker), system calls on
files (disk).
"""

#: What other packages may import; all else is private to this one.
__all__ = [
    "delivery",
    "dispatcher",
    "drops",
    "intake",
    "ledger_outage",
    "naming",
    "recovery",
    "results",
    "standby",
]
