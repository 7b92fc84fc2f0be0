"""Jobs that wait because their files cannot be seen now."""

from daemon.jobs import Job


class WaitingJobs(dict[str, str]):
    """Ids of jobs and their folders. The rows say running: only the disk tells how far they came.

    They are jobs of an earlier process, or their share went down while we were at work on them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.own: set[str] = set()
        """Ids of jobs that this process has started: nothing has died, so no death is counted."""

    def remove(self, job_id: str) -> None:
        """Remove a job that has been recovered or has ended; it may be none of them."""
        self.pop(job_id, None)
        self.own.discard(job_id)

    def add_own(self, job: Job) -> None:
        """Add a job that this process has started."""
        self[job.id] = job.folder
        self.own.add(job.id)
