"""Job states in SQLite: what has been taken in, what became of it. The only writer of states."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from daemon.errors import InstallError
from daemon.jobs import Done, Identity, Job, Stamp, State
from daemon.ledger.database import Database

FILE = "ledger.db"
#: Each brings a file from the version before to the next one; a new file gets them all.
NAMES = ("schema.sql", "upgrade_2.sql", "upgrade_3.sql", "upgrade_4.sql")
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
    """How a finished or failed job ended, for manifests and status."""

    job: Job
    ended_at: float
    details: dict[str, Any]  # Any: JSON
    replaced_by: str | None = None
    """The job whose result has taken the place of this one's."""


def as_bytes(path: Path | None) -> bytes | None:
    """A path as it is stored."""
    return None if path is None else os.fsencode(path)


def as_path(stored: bytes | None) -> Path | None:
    """A stored path."""
    return None if stored is None else Path(os.fsdecode(stored))


#: What is noted of a finished result, taken back: it is made anew, or not at all.
NO_RESULT: dict[str, Any] = {"stamps": "[]", "review": None, "details": "{}"}  # Any: columns


def details_of(done: Done) -> dict[str, Any]:  # Any: JSON
    """What the manifest tells of a result; what the worker does not know is left out."""
    known = {
        "sha256": done.sha256,
        "bytes": done.identity.size,
        "width": done.width,
        "height": done.height,
        "result_width": done.result_size and done.result_size[0],
        "result_height": done.result_size and done.result_size[1],
        "seconds": done.seconds,
        "weights": done.weights,
        "settings": done.settings,
        "confidence": done.confidence and asdict(done.confidence),
        "warnings": done.warnings,
    }
    return {name: value for name, value in known.items() if value is not None}


class Ledger(Database):
    """One SQLite file, one owner; every public method is one transaction."""

    def prepare(self, *, is_read_only: bool) -> None:
        """Durability settings, then the schema; `InstallError` if a newer program made the file."""
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
        if version < VERSION and not is_read_only:
            scripts = "".join(path.read_text(encoding="utf-8") for path in SCRIPTS[version:])
            self.db.executescript(
                f"BEGIN IMMEDIATE; {scripts} PRAGMA user_version = {VERSION}; COMMIT;"
            )

    # --- changes of state -------------------------------------------------------------------

    def add(self, job: Job) -> None:
        """A new row, queued; its names are reserved by the table's unique indexes."""
        identity = job.identity
        row = {
            "id": job.id,
            "folder": job.folder,
            "state": State.QUEUED.value,
            "relative": as_bytes(job.relative),
            "source": as_bytes(job.source),
            "target": as_bytes(job.target),
            "alpha": as_bytes(job.alpha),
            "archive": as_bytes(job.archive),
            "drop_id": job.drop,
            "device": identity.device,
            "inode": identity.inode,
            "size": identity.size,
            "mtime_ns": identity.mtime_ns,
            "is_kept": int(job.is_kept),
            "found_by": job.found_by,
            "added_at": job.added_at,
            "changed_at": job.changed_at,
        }
        names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
        with self.transaction() as db:
            db.execute(f"INSERT INTO jobs ({names}) VALUES ({marks})", row)
            db.execute("UPDATE drops SET last_at = ? WHERE id = ?", (job.added_at, job.drop))

    def start(self, job: Job) -> Job:
        """queued -> running; the attempt counts from now, not from its end."""
        attempts = job.attempts + 1
        self.change(job, State.QUEUED, state=State.RUNNING.value, attempts=attempts)
        return replace(job, state=State.RUNNING, attempts=attempts)

    def finish(self, job: Job, *, now: float) -> None:
        """running -> done."""
        self.change(job, State.RUNNING, state=State.DONE.value, ended_at=now, reason="")

    def retry(self, job: Job, *, not_before: float, reason: str) -> None:
        """running -> queued; the attempt stays counted."""
        self.change(
            job,
            State.RUNNING,
            state=State.QUEUED.value,
            not_before=not_before,
            reason=reason,
            **NO_RESULT,
        )

    def release(self, job: Job, *, not_before: float = 0.0, reason: str = "") -> None:
        """running -> queued; the attempt is given back: it was not the picture's fault."""
        self.change(
            job,
            State.RUNNING,
            state=State.QUEUED.value,
            attempts=max(job.attempts - 1, 0),
            not_before=not_before,
            reason=reason,
            **NO_RESULT,
        )

    def fail(self, job: Job, *, reason: str, now: float) -> None:
        """running -> failed; what its result was to replace stays as it is."""
        failed = {"state": State.FAILED.value, "ended_at": now, "reason": reason}
        with self.transaction() as db:
            self.change(job, State.RUNNING, **failed, **NO_RESULT)
            db.execute("UPDATE jobs SET replaced_by = NULL WHERE replaced_by = ?", (job.id,))

    # --- notes on a row, its state unchanged ------------------------------------------------

    def note_folder(self, job: Job, folder: str) -> None:
        """The job's hot folder has another name now."""
        self.change(job, job.state, folder=folder)

    def note_quarantine(self, job: Job, *, quarantine: Path, reason: str) -> Job:
        """Write down where a rejected original is about to go, so that a crash cannot hide it."""
        self.change(job, State.RUNNING, quarantine=as_bytes(quarantine), reason=reason)
        return replace(job, quarantine=quarantine, reason=reason)

    def note_version(self, job: Job, identity: Identity, *, now: float) -> Job:
        """The original changed after it was added."""
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
        """The parts are whole on disk: a crash from now on is followed by their publication."""
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
        """Somebody has taken the place for review: it is another one."""
        self.change(job, State.RUNNING, review=as_bytes(review))
        return replace(job, review=review)

    def note_replacement(self, job: Job, earlier: Job) -> Job:
        """The earlier job's names go to this one, whose files are about to take their place."""
        with self.transaction():
            self.change(earlier, State.DONE, replaced_by=job.id)
            return self.move(
                job,
                drop=job.drop,
                target=earlier.target,
                alpha=earlier.alpha,
                archive=job.archive,
            )

    def move(
        self, job: Job, *, drop: int, target: Path, alpha: Path | None, archive: Path | None
    ) -> Job:
        """Give a job other names: its drop has closed, or its target was taken from outside."""
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
        with self.transaction() as db:
            for job in jobs:
                db.execute(
                    "DELETE FROM jobs WHERE id = ? AND state IN ('done', 'failed')", (job.id,)
                )

    # --- drops ------------------------------------------------------------------------------

    def open_drop(self, folder: str, path: Path, *, now: float) -> Drop:
        """A new row for a folder that the store has just made."""
        with self.transaction() as db:
            cursor = db.execute(
                "INSERT INTO drops (folder, path, opened_at, last_at) VALUES (?, ?, ?, ?)",
                (folder, as_bytes(path), now, now),
            )
        assert cursor.lastrowid is not None
        return Drop(cursor.lastrowid, folder, path, now, now)

    def close_drop(self, drop: Drop, *, now: float) -> None:
        """No more pictures come into this folder."""
        with self.transaction() as db:
            db.execute("UPDATE drops SET closed_at = ? WHERE id = ?", (now, drop.id))

    def forget_drop(self, path: Path) -> None:
        """Retention has deleted the folder: its rows go with it, but for kept originals."""
        with self.transaction() as db:
            row = db.execute("SELECT id FROM drops WHERE path = ?", (as_bytes(path),)).fetchone()
            if row is None:
                return
            # A kept original still lies in its hot folder; without its row it would be taken again.
            db.execute(
                "DELETE FROM jobs WHERE drop_id = ? AND is_kept = 0"
                " AND state IN ('done', 'failed')",
                (row["id"],),
            )
            kept = db.execute("SELECT 1 FROM jobs WHERE drop_id = ?", (row["id"],)).fetchone()
            if kept is None:
                db.execute("DELETE FROM drops WHERE id = ?", (row["id"],))
