"""Whom the daemon tells what has happened: commands and webhooks, from an outbox in the ledger."""
