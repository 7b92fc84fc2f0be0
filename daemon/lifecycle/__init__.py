"""A job from intake to delivery, and the recovery of jobs that an earlier process left behind.

Does not belong here: the order of the steps (service), pixels (worker), system calls on files
(disk).
"""

#: What other packages may import; everything else is private to this one.
__all__ = [
    "broken_transfers",
    "claim_guard",
    "claim_recovery",
    "claiming",
    "closing",
    "completion",
    "counters",
    "deferral",
    "deletions",
    "delivery",
    "dispatcher",
    "drops",
    "emptied_folders",
    "failures",
    "folder_registry",
    "intake",
    "job_recovery",
    "kept_versions",
    "late_changes",
    "ledger_outage",
    "leftovers",
    "manifests",
    "naming",
    "orders",
    "originals",
    "placement",
    "recovery",
    "rejection",
    "requeue",
    "results",
    "standby",
    "state_folder",
    "upload_notes",
    "waited_clips",
    "withdrawals",
]
