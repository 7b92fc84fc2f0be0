"""Notices about events, sent to commands and webhooks from an outbox in the ledger.

Does not belong here: what happens to a picture. A failing hook never delays a picture.
"""

#: What other packages may import; everything else is private to this one.
__all__ = ["delivery", "loader", "outbox", "signature"]
