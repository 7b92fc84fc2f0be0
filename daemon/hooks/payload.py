"""The payload of a notice, ready for JSON: `docs/hook.schema.json`."""

from pathlib import Path
from typing import Any

from daemon import __version__
from daemon.disk import files, store
from daemon.jobs import Job, State
from daemon.json_values import as_text, utc
from daemon.ledger.ledger import Drop, Ending
from daemon.log_fields import original_path

#: Version of the schema; another number means that listeners have to change.
VERSION = 1
MILLI = 1000
Json = dict[str, Any]  # Any: JSON


def of_job(ending: Ending, drop: Drop) -> Json:
    """Return the payload for a picture that is done or has failed for good. Paths are absolute."""
    job = ending.job
    event = "done" if job.state is State.DONE else "failed"
    content = common_fields(event, job.folder, job.id, ending.ended_at) | {
        "job": job.id,
        "source": as_text(job.relative),
        "drop": as_text(drop.path),
        "attempts": job.attempts,
        "found_by": job.found_by,
        "added_at": utc(job.added_at),
    }
    if job.state is not State.DONE:
        return content | {"reason": job.reason, "original": text_of(rejected_original(job))}
    known: Json = {"seconds": {}, "warnings": []}  # results of older versions lack these
    return content | {
        "result": text_of(job.target),
        "alpha": text_of(job.alpha),
        "review": text_of(job.review),
        "original": text_of(job.source if job.is_kept else job.archive),
        **(known | ending.details),
    }


def of_drop(drop: Drop, counts: dict[str, int], *, closed_at: float) -> Json:
    """Return the payload for a closed output folder. ``counts``: its ended jobs by state."""
    return common_fields("drop_closed", drop.folder, str(drop.id), closed_at) | {
        "drop": as_text(drop.path),
        "manifest": text_of(manifest_of(drop)),
        "opened_at": utc(drop.opened_at),
        "done": counts.get(State.DONE.value, 0),
        "failed": counts.get(State.FAILED.value, 0),
    }


def manifest_of(drop: Drop) -> Path | None:
    """Return a manifest's path; None if it is gone, or a link leads there by now."""
    manifest = drop.path / store.MANIFEST
    try:
        return manifest if files.exists(manifest) else None
    except OSError:
        return None


def common_fields(event: str, folder: str, subject: str, moment: float) -> Json:
    """Return the fields of all events. A job may fail twice: the time makes the id unique."""
    return {
        "version": VERSION,
        "made_by": f"cvunetd {__version__}",
        "id": f"{event}-{subject}-{round(moment * MILLI)}",
        "event": event,
        "time": utc(moment),
        "folder": folder,
    }


def rejected_original(job: Job) -> Path | None:
    """Return where a rejected original is: in quarantine, or in its hot folder."""
    return original_path(job) if job.is_kept else job.quarantine


def text_of(path: Path | None) -> str | None:
    """Return a path as JSON holds it."""
    return None if path is None else as_text(path)
