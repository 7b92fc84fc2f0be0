"""Telling others of events: commands and webhooks, from an outbox in the ledger.

Does not belong here: what happens to a picture. A hook that fails never holds up a picture.
"""

#: What other packages may import; all else is private to this one.
__all__ = ["delivery", "loader", "outbox"]
