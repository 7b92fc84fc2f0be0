"""Questions to the ledger about pictures that came by HTTP."""

from pathlib import Path

from daemon.jobs import Job
from daemon.ledger.ledger import Drop, Ending, Ledger, as_path
from daemon.ledger.records import drop_of, ending_of, job_of

#: A finished row whose result has taken the name of another row's.
COLUMNS = "jobs.*, drops.path AS drop_path"


class Uploads:
    """Reads; changes nothing."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def version(self) -> int:
        """Return a number that is another one after each commit of another connection.

        Much cheaper than a question about rows.
        """
        row = self.ledger.first("PRAGMA data_version")
        assert row is not None
        return int(row[0])

    def newest(self, upload_id: str) -> Ending | None:
        """Return the newest row of an upload, ended or not; None if there is none."""
        row = self.ledger.first(
            "SELECT * FROM jobs WHERE upload = ? ORDER BY added_at DESC, id DESC", (upload_id,)
        )
        return None if row is None else ending_of(row)

    def rows(self, upload_id: str) -> list[Job]:
        """Return all rows of an upload, newest first: one for each time it was tried."""
        rows = self.ledger.rows(
            "SELECT * FROM jobs WHERE upload = ? ORDER BY added_at DESC, id DESC", (upload_id,)
        )
        return [job_of(row) for row in rows]

    def has(self, upload_id: str) -> bool:
        """Whether the daemon has taken an upload."""
        row = self.ledger.first("SELECT 1 FROM jobs WHERE upload = ?", (upload_id,))
        return row is not None

    def names_mask(self, sha256: str) -> bool:
        """Whether any row was made with a mask that a person has painted."""
        row = self.ledger.first("SELECT 1 FROM jobs WHERE instr(upload_note, ?)", (sha256,))
        return row is not None

    def count_before(self, job: Job) -> int:
        """Return how many queued pictures were added before one."""
        row = self.ledger.first(
            "SELECT count(*) FROM jobs WHERE state = 'queued' AND (added_at, id) < (?, ?)",
            (job.added_at, job.id),
        )
        assert row is not None
        return int(row[0])

    def count_queued(self) -> int:
        """Return how many pictures wait in the queue."""
        row = self.ledger.first("SELECT count(*) FROM jobs WHERE state = 'queued'")
        assert row is not None
        return int(row[0])

    def drop(self, drop_id: int) -> tuple[Drop, float | None] | None:
        """Return a drop, and when it was closed; None if there is none."""
        row = self.ledger.first("SELECT * FROM drops WHERE id = ?", (drop_id,))
        return None if row is None else (drop_of(row), row["closed_at"])

    def drops(self, *, limit: int, before: int | None = None) -> list[tuple[Drop, float | None]]:
        """Return drops with the time of their closing, the newest first, older than an id."""
        rows = self.ledger.rows(
            "SELECT * FROM drops WHERE ?1 IS NULL OR id < ?1 ORDER BY id DESC LIMIT ?2",
            (before, limit),
        )
        return [(drop_of(row), row["closed_at"]) for row in rows]

    def open_and_ended(self, since: float) -> list[Ending]:
        """Return all open rows, and those that ended after a moment, UTC seconds."""
        rows = self.ledger.rows(
            "SELECT * FROM jobs WHERE state IN ('queued', 'running')"
            " OR (state IN ('done', 'failed') AND ended_at > ?)",
            (since,),
        )
        return [ending_of(row) for row in rows]

    def sources(self, upload_id: str) -> list[Path]:
        """Return where the originals of an upload's rows are, or were."""
        rows = self.ledger.rows("SELECT source FROM jobs WHERE upload = ?", (upload_id,))
        return [path for row in rows if (path := as_path(row["source"])) is not None]
