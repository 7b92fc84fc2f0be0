"""What the log says of a picture beside its text: fields of a journal entry."""

from pathlib import Path

from daemon import event_ids
from daemon.errors import printable
from daemon.jobs import Done, Job


def about(job: Job) -> dict[str, str]:
    """The log's fields of a job."""
    return {"JOB": job.id, "HOT_FOLDER": job.folder, "SOURCE": printable(origin(job))}


def origin(job: Job) -> Path:
    """Where the picture was dropped: a claim is ``<hot>/.cvunetd/<id>/<relative>``."""
    above = job.source.parents
    depth = len(job.relative.parts) + 1
    return job.source if job.is_kept or depth >= len(above) else above[depth] / job.relative


def about_done(job: Job, result: Done | None) -> dict[str, str]:
    """The log's fields of a picture that came out; after a crash nobody knows how long it took."""
    fields = about(job) | {"MESSAGE_ID": event_ids.DONE, "TARGET": printable(job.target)}
    if result is None:
        return fields
    return fields | {"DURATION_MS": str(round(sum(result.seconds.values()) * 1000))}


def about_failed(job: Job, reason: str, stage: str, *, event: str) -> dict[str, str]:
    """The log's fields of a picture that did not; ``stage`` is empty outside of the pipeline."""
    return about(job) | {"MESSAGE_ID": event, "ERROR": reason} | ({"STAGE": stage} if stage else {})
