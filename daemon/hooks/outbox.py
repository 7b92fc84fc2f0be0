"""What hooks have still to be told: written with the event's own commit, kept until answered.

The pattern is known as a transactional outbox. An event that the ledger knows has its notices,
whenever the process dies; what was told but not yet forgotten is told again.
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
    """The table ``notices`` of the ledger's file: nobody else writes it."""

    def __init__(
        self, ledger: Ledger, records: Records, subscriptions: Subscriptions | None = None
    ) -> None:
        self.ledger = ledger
        self.records = records
        self.subscriptions = subscriptions or Subscriptions()
        self.is_changed = True
        """More or less waits than when it was last counted."""

    # --- within the event's transaction -----------------------------------------------------

    def job_ended(self, job_id: str) -> None:
        """A picture is done or has failed; its row says so already."""
        if not self.subscriptions.hooks:
            return
        with logging_faults(f"the end of job {job_id}"):
            ending = self.records.ending(job_id)
            content = payload.of_job(ending, self.records.drop_of(ending.job))
            self.add(content, ending.ended_at)

    def drop_closed(self, drop: Drop, now: float) -> None:
        """No more pictures come into an output folder."""
        if not self.listeners("drop_closed"):
            return
        with logging_faults(f"the end of drop {drop.id}"):
            counts = self.records.counts_of(drop)
            self.add(payload.of_drop(drop, counts, closed_at=now), now)

    def add(self, content: Json, now: float) -> None:
        """One row for each hook that listens."""
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
        """The hooks of an event."""
        return [hook for hook in self.subscriptions.hooks if hook.event == f"on_{event}"]

    # --- afterwards -------------------------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """How many notices wait, by hook; also by hooks that are no longer configured."""
        rows = self.ledger.rows("SELECT hook, count(*) AS notices FROM notices GROUP BY hook")
        return {row["hook"]: row["notices"] for row in rows}

    def waiting(self, hook: Hook, limit: int) -> list[Notice]:
        """Those of a hook that were tried least, then the oldest."""
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
        """Forget notices that were answered for good; count the attempts of others."""
        self.is_changed = True
        with self.ledger.transaction() as db:
            db.executemany("DELETE FROM notices WHERE id = ?", [(one,) for one in closed])
            db.executemany(
                "UPDATE notices SET attempts = attempts + 1 WHERE id = ?", [(one,) for one in tried]
            )

    def forget(self, hook: str) -> int:
        """Remove all notices of a hook that is not configured any more; how many."""
        with self.ledger.transaction() as db:
            return db.execute("DELETE FROM notices WHERE hook = ?", (hook,)).rowcount

    def drop_oldest(self, hook: str, excess: int) -> int:
        """Make room; how many were removed."""
        with self.ledger.transaction() as db:
            return db.execute(
                "DELETE FROM notices WHERE id IN"
                " (SELECT id FROM notices WHERE hook = ? ORDER BY id LIMIT ?)",
                (hook, excess),
            ).rowcount


def as_json(content: Json) -> str:
    """Readable JSON; half a character that somebody has slipped in is escaped as JSON does it."""
    text = json.dumps(content, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@contextmanager
def logging_faults(what: str) -> Iterator[None]:
    """A fault of ours in what hooks are told must not keep a picture from being finished."""
    try:
        yield
    except LedgerError:
        raise
    except Exception:
        logger.exception("hooks are not told of %s: this should not have happened", what)
