"""Originals that a program wrote to after they were read: their results show an earlier version.

A rename does not close a file: a program that had the picture open goes on writing into the claimed
or archived file. Before the publication that is noticed, and the picture is cut out again.
"""

import logging

from daemon.disk import files
from daemon.errors import describe, printable
from daemon.jobs import Job
from daemon.log_fields import job_fields

logger = logging.getLogger(__name__)


def has_changed_before(job: Job) -> bool:
    """Whether a claimed original is another version than the one that was read.

    Inode numbers do not count: some shares give others each time.
    """
    current = files.identity(job.source)
    return current is not None and current.stamp[1:] != job.identity.stamp[1:]


def has_changed_after(job: Job) -> bool:
    """Whether an archived original was written to since; False if it is away or kept.

    The time of a copy on another disk says nothing: that disk may round it.
    """
    if job.archive is None:
        return False
    try:
        current = files.identity(job.archive)
    except OSError as error:
        logger.debug("%s cannot be looked at: %s", printable(job.archive), describe(error))
        return False
    if current is None:
        return False
    is_same_file = current.inode == job.identity.inode
    has_other_time = is_same_file and current.mtime_ns != job.identity.mtime_ns
    return current.size != job.identity.size or has_other_time


def tell(job: Job) -> None:
    """Say so in the log."""
    text = (
        "the original of %s changed after it was cut out: the result shows an earlier version;"
        " put %s into the hot folder again"
    )
    logger.warning(text, printable(job.target), printable(job.archive or ""), extra=job_fields(job))
