"""Job states in SQLite: what was taken in, and its outcome. The only writer of states."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from daemon.errors import InstallError
from daemon.jobs import Done, Identity, Job, Stamp, State
from daemon.ledger import upload_notes
from daemon.ledger.database import Database
from daemon.ledger.names_in_use import key_of, with_keys
from daemon.ledger.result_details import details_of

FILE = "ledger.db"
#: Each brings a file from the version before to the next one; a new file gets them all.
NAMES = ("schema.sql", *(f"upgrade_{version}.sql" for version in range(2, 9)))
SCRIPTS = tuple(Path(__file__).with_name(name) for name in NAMES)
VERSION = len(SCRIPTS)


@dataclass(frozen=True, slots=True)
class Drop:
    """One time-stamped output folder."""

    id: int
    folder: str
    path: Path
    opened_at: float
    last_at: float


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended, for manifests and status."""

    job: Job
    ended_at: float
    details: dict[str, Any]  # Any: JSON
    replaced_by: str | None = None
    """The job whose result has replaced this one's."""


def as_bytes(path: Path | None) -> bytes | None:
    """Return a path as it is stored."""
    return None if path is None else os.fsencode(path)


def as_path(stored: bytes | None) -> Path | None:
    """Return a stored path."""
    return None if stored is None else Path(os.fsdecode(stored))


#: Resets what was noted about a finished result: it will be made anew, or not at all.
NO_RESULT: dict[str, Any] = {"stamps": "[]", "review": None, "details": "{}"}  # Any: columns


class Ledger(Database):
    """One SQLite file, one owner; every public method is one transaction."""

    def prepare(self, *, is_read_only: bool) -> None:
        """Set the options, then the schema; `InstallError` if a newer program made the file."""
        version = int(self.db.execute("PRAGMA user_version").fetchone()[0])
        if version > VERSION:
            raise InstallError(
                f"{self.path}: written by a newer cvunetd (version {version}, this one knows"
                f" {VERSION}): upgrade, or set another state_dir"
            )
        if is_read_only and not version:
            raise InstallError(f"{self.path}: holds nothing yet: start the daemon, which fills it")
        if is_read_only and version < VERSION:
            raise InstallError(
                f"{self.path}: written by an older cvunetd (version {version}, this one reads"
                f" {VERSION}): start the daemon, which brings it up to date"
            )
        super().prepare(is_read_only=is_read_only)
        if is_read_only:
            return
        if version < VERSION:
            self.db.create_function("name_key", 1, key_of, deterministic=True)
            scripts = "".join(path.read_text(encoding="utf-8") for path in SCRIPTS[version:])
            self.db.executescript(
                f"BEGIN IMMEDIATE; {scripts} PRAGMA user_version = {VERSION}; COMMIT;"
            )
        self.db.executescript(SCRIPTS[0].with_name("indexes.sql").read_text(encoding="utf-8"))

    # --- changes of state -------------------------------------------------------------------

    def add(self, job: Job) -> None:
        """Add a queued row; the table's unique indexes reserve its names."""
        columns = {
            "id": job.id,
            "folder": job.folder,
            "state": State.QUEUED.value,
            "relative": as_bytes(job.relative),
            "source": as_bytes(job.source),
            "target": as_bytes(job.target),
            "alpha": as_bytes(job.alpha),
            "archive": as_bytes(job.archive),
            "drop_id": job.drop,
            "device": job.identity.device,
            "inode": job.identity.inode,
            "size": job.identity.size,
            "mtime_ns": job.identity.mtime_ns,
            "is_kept": int(job.is_kept),
            "found_by": job.found_by,
            "added_at": job.added_at,
            "changed_at": job.changed_at,
            "upload": job.upload and job.upload.id,
            "upload_note": upload_notes.as_text(job.upload),
            "clip": job.clip,
        }
        row = with_keys(columns)
        names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
        with self.transaction() as db:
            db.execute(f"INSERT INTO jobs ({names}) VALUES ({marks})", row)
            db.execute("UPDATE drops SET last_at = ? WHERE id = ?", (job.added_at, job.drop))

    def start(self, job: Job) -> Job:
        """queued -> running; the attempt counts from its start. No two starts have one number."""
        attempts, starts = job.attempts + 1, job.starts + 1
        self.change(job, State.QUEUED, state=State.RUNNING.value, attempts=attempts, starts=starts)
        return replace(job, state=State.RUNNING, attempts=attempts, starts=starts)

    def finish(self, job: Job, *, now: float) -> None:
        """running -> done."""
        self.change(job, State.RUNNING, state=State.DONE.value, ended_at=now, reason="")

    def retry(self, job: Job, *, not_before: float, reason: str) -> None:
        """running -> queued; the attempt still counts."""
        self.queue_again(job, not_before=not_before, reason=reason)

    def release(self, job: Job, *, not_before: float = 0.0, reason: str = "") -> None:
        """running -> queued; the attempt is refunded: the picture was not to blame."""
        attempts = max(job.attempts - 1, 0)
        self.queue_again(job, attempts=attempts, not_before=not_before, reason=reason)

    def excuse(self, job: Job, *, not_before: float, reason: str) -> None:
        """running -> queued; refunded, and a death is counted: the process was ended by others."""
        attempts, deaths = max(job.attempts - 1, 0), job.deaths + 1
        columns = {"attempts": attempts, "deaths": deaths, "not_before": not_before}
        self.queue_again(job, **columns, reason=reason)

    def queue_again(self, job: Job, **columns: Any) -> None:  # Any: column values
        """running -> queued, without what was noted of a result."""
        self.change(job, State.RUNNING, state=State.QUEUED.value, **columns, **NO_RESULT)

    def fail(self, job: Job, *, reason: str, now: float) -> None:
        """running -> failed; the result that it was to replace stays."""
        failed = {"state": State.FAILED.value, "ended_at": now, "reason": reason}
        with self.transaction():
            self.change(job, State.RUNNING, **failed, **NO_RESULT)
            self.keep_replaced(job)

    def disapprove(self, job: Job, *, reason: str, now: float) -> None:
        """done -> failed: a person has rejected the result."""
        failed = {"state": State.FAILED.value, "ended_at": now, "reason": reason}
        self.change(job, State.DONE, **failed, **NO_RESULT)

    # --- notes on a row, its state unchanged ------------------------------------------------

    def note_folder(self, job: Job, folder: str) -> None:
        """Note that the job's hot folder has another name now."""
        self.change(job, job.state, folder=folder)

    def note_quarantine(self, job: Job, *, quarantine: Path, reason: str) -> Job:
        """Note where a rejected original will go, so that it can be found after a crash."""
        self.change(job, State.RUNNING, quarantine=as_bytes(quarantine), reason=reason)
        return replace(job, quarantine=quarantine, reason=reason)

    def note_rejection(self, job: Job, *, quarantine: Path) -> None:
        """Note where the original of a rejected result will go."""
        self.change(job, State.DONE, quarantine=as_bytes(quarantine))

    def note_approval(self, job: Job) -> None:
        """Note that a result is not for review any more."""
        self.change(job, State.DONE, review=None)

    def note_doubt(self, job: Job, *, review: Path) -> None:
        """Note that a result is for review again, and its second name."""
        self.change(job, State.DONE, review=as_bytes(review))

    def note_version(self, job: Job, identity: Identity, *, now: float) -> Job:
        """Note that the original changed after it was added."""
        self.change(
            job,
            job.state,
            device=identity.device,
            inode=identity.inode,
            size=identity.size,
            mtime_ns=identity.mtime_ns,
            changed_at=now,
        )
        return replace(job, identity=identity, changed_at=now)

    def note_result(
        self, job: Job, done: Done, *, stamps: tuple[Stamp, ...], review: Path | None
    ) -> Job:
        """Note that the parts are complete on disk: after a crash they are published."""
        details = json.dumps(details_of(done))
        self.change(
            job,
            State.RUNNING,
            details=details,
            stamps=json.dumps(stamps),
            review=as_bytes(review),
        )
        return replace(job, stamps=stamps, review=review)

    def note_review(self, job: Job, review: Path) -> Job:
        """Note another place for review: somebody has taken the first one."""
        self.change(job, job.state, review=as_bytes(review))
        return replace(job, review=review)

    def note_replacement(self, job: Job, earlier: Job) -> Job:
        """Give the earlier job's names to this one, whose files will replace the earlier files."""
        with self.transaction():
            self.change(earlier, State.DONE, replaced_by=job.id)
            return self.rename(
                job, drop=job.drop, target=earlier.target, alpha=earlier.alpha, archive=job.archive
            )

    def keep_replaced(self, job: Job) -> None:
        """Note that a job replaces no earlier result, which keeps its names."""
        with self.transaction() as db:
            db.execute("UPDATE jobs SET replaced_by = NULL WHERE replaced_by = ?", (job.id,))

    def rename(
        self, job: Job, *, drop: int, target: Path, alpha: Path | None, archive: Path | None
    ) -> Job:
        """Give a job other names: its drop was closed, or another file has its target's name."""
        self.change(
            job,
            job.state,
            drop_id=drop,
            target=as_bytes(target),
            alpha=as_bytes(alpha),
            archive=as_bytes(archive),
        )
        return replace(job, drop=drop, target=target, alpha=alpha, archive=archive)

    def change(self, job: Job, expected: State, /, **columns: Any) -> None:  # Any: column values
        """Update one row, which must be in the expected state."""
        columns = with_keys(columns)
        assignments = ", ".join(f"{name} = :{name}" for name in columns)
        values = columns | {"job_id": job.id, "expected": expected.value}
        with self.transaction() as db:
            changed = db.execute(
                f"UPDATE jobs SET {assignments} WHERE id = :job_id AND state = :expected", values
            ).rowcount
        assert changed == 1, f"job {job.id} is not {expected.value}"

    def forget(self, job: Job) -> None:
        """Remove a row, so that a kept original may be taken again."""
        with self.transaction() as db:
            db.execute("DELETE FROM jobs WHERE id = ?", (job.id,))

    def forget_all(self, jobs: Iterable[Job]) -> None:
        """Remove the rows of several ended jobs."""
        query = "DELETE FROM jobs WHERE id = ? AND state IN ('done', 'failed')"
        with self.transaction() as db:
            db.executemany(query, [(job.id,) for job in jobs])

    # --- drops ------------------------------------------------------------------------------

    def open_drop(self, folder: str, path: Path, *, now: float) -> Drop:
        """Add a row for a folder that the store has just made."""
        with self.transaction() as db:
            cursor = db.execute(
                "INSERT INTO drops (folder, path, opened_at, last_at) VALUES (?, ?, ?, ?)",
                (folder, as_bytes(path), now, now),
            )
        assert cursor.lastrowid is not None
        return Drop(cursor.lastrowid, folder, path, now, now)

    def close_drop(self, drop: Drop, *, now: float) -> None:
        """Close a drop: no more pictures come into this folder."""
        with self.transaction() as db:
            db.execute("UPDATE drops SET closed_at = ? WHERE id = ?", (now, drop.id))

    def forget_drop(self, path: Path) -> None:
        """Remove the rows of a folder that retention has deleted; kept originals' rows stay."""
        with self.transaction() as db:
            row = db.execute("SELECT id FROM drops WHERE path = ?", (as_bytes(path),)).fetchone()
            if row is None:
                return
            # A kept original is still in its hot folder; without its row it would be taken again.
            db.execute(
                "DELETE FROM jobs WHERE drop_id = ? AND is_kept = 0"
                " AND state IN ('done', 'failed')",
                (row["id"],),
            )
            kept = db.execute("SELECT 1 FROM jobs WHERE drop_id = ?", (row["id"],)).fetchone()
            if kept is None:
                db.execute("DELETE FROM drops WHERE id = ?", (row["id"],))
