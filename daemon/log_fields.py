"""Fields of a log entry about a picture, beside its text."""

from collections.abc import Mapping
from pathlib import Path

from daemon import event_ids
from daemon.errors import printable
from daemon.jobs import Job


def job_fields(job: Job) -> dict[str, str]:
    """Return the log fields of a job."""
    return {"JOB": job.id, "HOT_FOLDER": job.folder, "SOURCE": printable(original_path(job))}


def original_path(job: Job) -> Path:
    """Return where the picture was dropped: a claim is ``<hot>/.cvunetd/<id>/<relative>``."""
    above = job.source.parents
    depth = len(job.relative.parts) + 1
    return job.source if job.is_kept or depth >= len(above) else above[depth] / job.relative


def done_fields(job: Job, seconds: Mapping[str, float]) -> dict[str, str]:
    """Return the log fields of a finished picture; ``seconds`` of each stage, empty if unknown."""
    fields = job_fields(job) | {"MESSAGE_ID": event_ids.DONE, "TARGET": printable(job.target)}
    if not seconds:
        return fields
    return fields | {"DURATION_MS": str(round(sum(seconds.values()) * 1000))}


def failed_fields(job: Job, reason: str, stage: str, *, event: str) -> dict[str, str]:
    """Return the log fields of a failed picture; ``stage`` is empty outside of the pipeline."""
    return (
        job_fields(job)
        | {"MESSAGE_ID": event, "ERROR": reason}
        | ({"STAGE": stage} if stage else {})
    )
