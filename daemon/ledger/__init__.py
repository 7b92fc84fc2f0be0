"""Job states in SQLite, queries, and the job queue. Only this package imports sqlite3.

Does not belong here: files on disk, and the decision when a state changes (lifecycle).
"""

#: What other packages may import; all else is private to this one.
__all__ = [
    "claim_folders",
    "database",
    "history",
    "job_queue",
    "ledger",
    "records",
    "upload_notes",
    "uploads",
]
