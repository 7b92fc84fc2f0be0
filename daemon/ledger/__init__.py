"""Job states in SQLite, queries, and the job queue. Only this package imports sqlite3.

Does not belong here: files on disk, and the decision when a state changes (lifecycle).
"""

#: What other packages may import; everything else is private to this one.
__all__ = ["database", "job_queue", "ledger", "records"]
