"""Notices that hooks have not accepted yet: written in the event's own commit, kept until answered.

This is the pattern "transactional outbox". An event in the ledger has its notices, even if the
process dies. A notice that was sent but not deleted yet is sent again.
"""

import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from daemon.errors import LedgerError
from daemon.hooks import payload
from daemon.hooks.payload import Json
from daemon.ledger.ledger import Drop, Ledger
from daemon.ledger.records import Records
from daemon.notices import Hook, Notice, Subscriptions

logger = logging.getLogger(__name__)


class Outbox:
    """The table ``notices`` in the ledger's file; nothing else writes it."""

    def __init__(
        self, ledger: Ledger, records: Records, subscriptions: Subscriptions | None = None
    ) -> None:
        self.ledger = ledger
        self.records = records
        self.subscriptions = subscriptions or Subscriptions()
        self.is_changed = True
        """The number of waiting notices may have changed since the last count."""

    # --- within the event's transaction -----------------------------------------------------

    def job_ended(self, job_id: str) -> None:
        """Add notices about a picture that is done or has failed; its row says so already."""
        if not self.subscriptions.hooks:
            return
        with logging_faults(f"the end of job {job_id}"):
            ending = self.records.ending(job_id)
            content = payload.of_job(ending, self.records.drop_of(ending.job))
            self.add(content, ending.ended_at)

    def drop_closed(self, drop: Drop, now: float) -> None:
        """Add notices about an output folder that was closed."""
        if not self.listeners("drop_closed"):
            return
        with logging_faults(f"the end of drop {drop.id}"):
            counts = self.records.counts_of(drop)
            self.add(payload.of_drop(drop, counts, closed_at=now), now)

    def add(self, content: Json, now: float) -> None:
        """Add one row for each hook of the event."""
        listeners = self.listeners(content["event"])
        if not listeners:
            return
        text = as_json(content)
        self.is_changed = True
        with self.ledger.transaction() as db:
            db.executemany(
                "INSERT INTO notices (hook, event_id, added_at, payload) VALUES (?, ?, ?, ?)",
                [(hook.key, content["id"], now, text) for hook in listeners],
            )

    def listeners(self, event: str) -> list[Hook]:
        """Return the hooks of an event."""
        return [hook for hook in self.subscriptions.hooks if hook.event == f"on_{event}"]

    # --- afterwards -------------------------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """Return how many notices wait, by hook; includes hooks that were removed."""
        return self.records.waiting_notices()

    def waiting(self, hook: Hook, limit: int) -> list[Notice]:
        """Return waiting notices of a hook: fewest attempts first, then the oldest."""
        rows = self.ledger.rows(
            "SELECT * FROM notices WHERE hook = ? ORDER BY attempts, id LIMIT ?", (hook.key, limit)
        )
        return [
            Notice(
                id=row["id"],
                event_id=row["event_id"],
                added_at=row["added_at"],
                attempts=row["attempts"],
                payload=row["payload"],
            )
            for row in rows
        ]

    def record_answers(self, *, closed: Iterable[int], tried: Iterable[int]) -> None:
        """Delete notices that were answered for good; count the attempts of others."""
        self.is_changed = True
        with self.ledger.transaction() as db:
            db.executemany("DELETE FROM notices WHERE id = ?", [(one,) for one in closed])
            db.executemany(
                "UPDATE notices SET attempts = attempts + 1 WHERE id = ?", [(one,) for one in tried]
            )

    def forget(self, hook: str) -> int:
        """Delete all notices of a hook that was removed; return how many."""
        with self.ledger.transaction() as db:
            return db.execute("DELETE FROM notices WHERE hook = ?", (hook,)).rowcount

    def drop_oldest(self, hook: str, excess: int) -> int:
        """Delete the oldest notices of a hook; return how many."""
        with self.ledger.transaction() as db:
            return db.execute(
                "DELETE FROM notices WHERE id IN"
                " (SELECT id FROM notices WHERE hook = ? ORDER BY id LIMIT ?)",
                (hook, excess),
            ).rowcount


def as_json(content: Json) -> str:
    """Return readable JSON; lone surrogates are escaped."""
    text = json.dumps(content, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@contextmanager
def logging_faults(what: str) -> Iterator[None]:
    """Log a fault of our own in a payload; it must not keep a picture from being finished."""
    try:
        yield
    except LedgerError:
        raise
    except Exception:
        logger.exception("hooks are not told of %s: this should not have happened", what)
