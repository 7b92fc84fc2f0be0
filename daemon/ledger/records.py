"""Queries to the ledger: everything that reads it and changes nothing."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from daemon.errors import InstallError, describe
from daemon.jobs import Identity, Job, State
from daemon.ledger import upload_notes
from daemon.ledger.database import DAMAGED, Row
from daemon.ledger.ledger import Drop, Ending, Ledger, as_bytes, as_path
from daemon.ledger.names_in_use import NamesInUse


@contextmanager
def understood() -> Iterator[None]:
    """`InstallError` for a row that we cannot have written."""
    try:
        yield
    except (AssertionError, IndexError, KeyError, TypeError, ValueError) as error:
        text = f"the ledger is damaged ({describe(error)}): {DAMAGED}"
        raise InstallError(text) from error


@understood()
def job_of(row: Row) -> Job:
    """Return a row of ``jobs`` as a value."""
    relative, source, target = (
        as_path(row["relative"]),
        as_path(row["source"]),
        as_path(row["target"]),
    )
    assert relative is not None
    assert source is not None
    assert target is not None
    return Job(
        id=row["id"],
        folder=row["folder"],
        relative=relative,
        source=source,
        target=target,
        archive=as_path(row["archive"]),
        drop=row["drop_id"],
        identity=Identity(row["device"], row["inode"], row["size"], row["mtime_ns"]),
        found_by=row["found_by"],
        added_at=row["added_at"],
        changed_at=row["changed_at"],
        state=State(row["state"]),
        attempts=row["attempts"],
        starts=row["starts"],
        deaths=row["deaths"],
        reason=row["reason"],
        quarantine=as_path(row["quarantine"]),
        is_kept=bool(row["is_kept"]),
        alpha=as_path(row["alpha"]),
        review=as_path(row["review"]),
        stamps=tuple((inode, size, time) for inode, size, time in json.loads(row["stamps"])),
        upload=upload_notes.from_text(row["upload"], row["upload_note"]),
        clip=row["clip"],
    )


@understood()
def drop_of(row: Row) -> Drop:
    """Return a row of ``drops`` as a value."""
    return Drop(row["id"], row["folder"], drop_path(row["path"]), row["opened_at"], row["last_at"])


@lru_cache(maxsize=256)
def drop_path(stored: bytes) -> Path:
    """Return the path of a drop, which is asked for several times for each picture."""
    return Path(os.fsdecode(stored))


class Records:
    """Read access to a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.reserved = NamesInUse(ledger)
        """Names that files have or will have; not those of failed jobs."""
        self.used = NamesInUse(ledger, condition="state = 'done'")
        """Names of the files of finished jobs."""

    def job(self, job_id: str) -> Job | None:
        """Return one job; None if there is no such row."""
        row = self.ledger.first("SELECT * FROM jobs WHERE id = ?", (job_id,))
        return None if row is None else job_of(row)

    def in_state(self, state: State) -> list[Job]:
        """Return all jobs in a state, oldest first."""
        rows = self.ledger.rows(
            "SELECT * FROM jobs WHERE state = ? ORDER BY added_at, id", (state.value,)
        )
        return [job_of(row) for row in rows]

    def queued(self) -> list[tuple[Job, float]]:
        """Return all queued jobs with the time before which they must not start, oldest first."""
        rows = self.ledger.rows("SELECT * FROM jobs WHERE state = 'queued' ORDER BY added_at, id")
        return [(job_of(row), row["not_before"]) for row in rows]

    def knows_version(self, identity: Identity, source: Path) -> bool:
        """Whether this version of a kept original was taken already."""
        row = self.ledger.first(
            "SELECT 1 FROM jobs WHERE is_kept = 1 AND inode = ? AND size = ?"
            " AND mtime_ns = ? AND source = ?",
            (identity.inode, identity.size, identity.mtime_ns, as_bytes(source)),
        )
        return row is not None

    def knows_time(self, identity: Identity, source: Path) -> bool:
        """Whether a kept original of this path, size and time was taken, whatever its inode."""
        row = self.ledger.first(
            "SELECT 1 FROM jobs WHERE is_kept = 1 AND source = ? AND size = ? AND mtime_ns = ?",
            (as_bytes(source), identity.size, identity.mtime_ns),
        )
        return row is not None

    def earlier_result(self, job: Job) -> Job | None:
        """Return the newest finished job of the same picture's path in the same drop."""
        row = self.ledger.first(
            "SELECT * FROM jobs WHERE drop_id = ? AND relative = ? AND folder = ? AND id <> ?"
            " AND state = 'done' AND replaced_by IS NULL ORDER BY ended_at DESC, id DESC",
            (job.drop, as_bytes(job.relative), job.folder, job.id),
        )
        return None if row is None else job_of(row)

    def later_done(self, job: Job) -> list[Job]:
        """Return finished jobs of the same path that were taken after this one, newest first."""
        rows = self.ledger.rows(
            "SELECT * FROM jobs WHERE drop_id >= ? AND relative = ? AND folder = ? AND id <> ?"
            " AND state = 'done' AND added_at >= ? ORDER BY added_at DESC, id DESC",
            (job.drop, as_bytes(job.relative), job.folder, job.id, job.added_at),
        )
        return [job_of(row) for row in rows]

    def replaced_job(self, job: Job) -> Job | None:
        """Return the job whose names this one has been given."""
        row = self.ledger.first("SELECT * FROM jobs WHERE replaced_by = ?", (job.id,))
        return None if row is None else job_of(row)

    def open_drops(self) -> list[Drop]:
        """Return drops that may still take pictures."""
        rows = self.ledger.rows("SELECT * FROM drops WHERE closed_at IS NULL ORDER BY id")
        return [drop_of(row) for row in rows]

    def open_drops_of(self, folder: str) -> Iterator[Drop]:
        """Yield one hot folder's drops that may still take pictures, newest first."""
        rows = self.ledger.rows(
            "SELECT * FROM drops WHERE closed_at IS NULL AND folder = ? ORDER BY id DESC", (folder,)
        )
        return map(drop_of, rows)

    def is_open_drop(self, path: Path) -> bool:
        """Whether a folder is a drop that may still take pictures."""
        return any(drop.path == path for drop in self.open_drops())

    def closed_drops(self, before: float, *, with_kept: bool = False) -> list[Path]:
        """Return drops opened and closed before a time (UTC seconds) whose rows may be removed.

        The rows of kept originals stay. ``with_kept``: also drops that hold only these.
        """
        rows = self.ledger.rows(
            "SELECT path FROM drops WHERE closed_at < ?1 AND opened_at < ?1 AND (?2"
            " OR EXISTS (SELECT 1 FROM jobs WHERE drop_id = drops.id AND is_kept = 0"
            "  AND state IN ('done', 'failed'))"
            " OR NOT EXISTS (SELECT 1 FROM jobs WHERE drop_id = drops.id)) ORDER BY id",
            (before, with_kept),
        )
        return [Path(os.fsdecode(row["path"])) for row in rows]

    def kept_originals(self, before: float, *, after: str) -> Iterator[Job]:
        """Yield ended jobs of kept originals in closed drops, by id, starting after an id."""
        while True:
            rows = self.ledger.rows(
                "SELECT * FROM jobs WHERE is_kept = 1 AND state IN ('done', 'failed')"
                " AND ended_at < ? AND id > ? AND drop_id IN"
                " (SELECT id FROM drops WHERE closed_at IS NOT NULL) ORDER BY id LIMIT 500",
                (before, after),
            )
            yield from map(job_of, rows)
            if not rows:
                return
            after = rows[-1]["id"]

    def drop_at(self, path: Path) -> Drop | None:
        """Return the drop with this folder, open or closed."""
        row = self.ledger.first("SELECT * FROM drops WHERE path = ?", (as_bytes(path),))
        return None if row is None else drop_of(row)

    def drop_of(self, job: Job) -> Drop:
        """Return the drop of a job."""
        [row] = self.ledger.rows("SELECT * FROM drops WHERE id = ?", (job.drop,))
        return drop_of(row)

    def drop_size(self, drop: Drop) -> int:
        """Return how many pictures were ever put into a drop."""
        [row] = self.ledger.rows("SELECT count(*) FROM jobs WHERE drop_id = ?", (drop.id,))
        return int(row[0])

    def has_open_jobs(self, drop: Drop) -> bool:
        """Whether some job of a drop is queued or running."""
        row = self.ledger.first(
            "SELECT 1 FROM jobs WHERE drop_id = ? AND state IN ('queued', 'running')", (drop.id,)
        )
        return row is not None

    def open_jobs(self, drop: Drop) -> list[Job]:
        """Return the jobs of a drop that are queued or running."""
        rows = self.ledger.rows(
            "SELECT * FROM jobs WHERE drop_id = ? AND state IN ('queued', 'running')", (drop.id,)
        )
        return [job_of(row) for row in rows]

    def has_open_jobs_of(self, folder: str) -> bool:
        """Whether some job of a hot folder is queued or running."""
        row = self.ledger.first(
            "SELECT 1 FROM jobs WHERE folder = ? AND state IN ('queued', 'running')", (folder,)
        )
        return row is not None

    def ending(self, job_id: str) -> Ending:
        """Return how an ended job ended."""
        [row] = self.ledger.rows("SELECT * FROM jobs WHERE id = ?", (job_id,))
        return ending_of(row)

    def counts_of(self, drop: Drop) -> dict[str, int]:
        """Return the number of a drop's jobs by state."""
        rows = self.ledger.rows(
            "SELECT state, count(*) AS jobs FROM jobs WHERE drop_id = ? GROUP BY state", (drop.id,)
        )
        return {row["state"]: row["jobs"] for row in rows}

    def endings(self, drop: Drop) -> list[Ending]:
        """Return how the ended jobs of a drop ended, in order."""
        return [ending_of(row) for row in self.ending_rows(drop)]

    def ending_rows(self, drop: Drop) -> list[Row]:
        """Return the same as rows for `ending_of`: who knows a row need not read it again."""
        return self.ledger.rows(
            "SELECT * FROM jobs WHERE drop_id = ? AND state IN ('done', 'failed')"
            " ORDER BY ended_at, id",
            (drop.id,),
        )

    def jobs_with_path(self, path: Path, relatives: list[Path]) -> list[Ending]:
        """Return jobs whose original, result or place in quarantine is this path, newest first.

        ``relatives``: possible paths below a hot folder.
        """
        marks = ", ".join("?" * len(relatives))
        rows = self.ledger.rows(
            "SELECT * FROM jobs WHERE source = ?1 OR target = ?1 OR archive = ?1"
            " OR alpha = ?1 OR review = ?1"
            f" OR quarantine = ?1 OR relative IN ({marks}) ORDER BY added_at DESC, id DESC",
            [as_bytes(path), *map(as_bytes, relatives)],
        )
        return [ending_of(row) for row in rows]

    def last_failures(self, limit: int) -> list[Ending]:
        """Return the newest failed jobs, newest first."""
        rows = self.ledger.rows(
            "SELECT * FROM jobs WHERE state = 'failed' ORDER BY ended_at DESC LIMIT ?", (limit,)
        )
        return [ending_of(row) for row in rows]

    def ended_since(self, moment: float) -> dict[str, int]:
        """Return how many jobs have ended after a moment, UTC seconds, by state."""
        rows = self.ledger.rows(
            "SELECT state, count(*) AS jobs FROM jobs"
            " WHERE state IN ('done', 'failed') AND ended_at > ? GROUP BY state",
            (moment,),
        )
        return {row["state"]: row["jobs"] for row in rows}

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of jobs by folder and state."""
        counts: dict[str, dict[str, int]] = {}
        rows = self.ledger.rows(
            "SELECT folder, state, count(*) AS jobs FROM jobs GROUP BY folder, state"
        )
        for row in rows:
            counts.setdefault(row["folder"], {})[row["state"]] = row["jobs"]
        return counts

    def waiting_notices(self) -> dict[str, int]:
        """Return how many notices wait, by hook; includes hooks that were removed."""
        rows = self.ledger.rows("SELECT hook, count(*) AS notices FROM notices GROUP BY hook")
        return {row["hook"]: row["notices"] for row in rows}


@understood()
def ending_of(row: Row) -> Ending:
    """Return an ended row as a value."""
    details = json.loads(row["details"])
    return Ending(job_of(row), row["ended_at"] or 0.0, details, row["replaced_by"])
