"""Writes the row of a picture that is ours already."""

from dataclasses import replace
from pathlib import Path

from daemon.jobs import HotFolder, Identity, Job
from daemon.ledger.ledger import Ledger
from daemon.lifecycle.claim_guard import claimed_identity
from daemon.lifecycle.placement import Placement
from daemon.lifecycle.upload_notes import UploadNotes


class Enrolment:
    """From a picture's path to its queued row, with reserved names."""

    def __init__(self, *, ledger: Ledger, placement: Placement, notes: UploadNotes) -> None:
        self.ledger = ledger
        self.placement = placement
        self.notes = notes

    def add(  # everything that a row needs
        self,
        folder: HotFolder,
        relative: Path,
        job_id: str,
        source: Path,
        found_by: str,
        *,
        now: float,
    ) -> Job:
        """Reserve names and write the row; `OSError` if no drop can be made."""
        upload = self.notes.read(folder, relative)
        if upload is not None and upload.rendering is not None:
            folder = replace(folder, rendering=upload.rendering)
        drop, reserved = self.placement.reserve(folder, relative, job_id, now=now)
        # A link swapped in later has no identity; the worker refuses to open it.
        identity = claimed_identity(source) or Identity(0, 0, 0, 0)
        job = Job(
            id=job_id,
            folder=folder.name,
            relative=relative,
            source=source,
            target=reserved.target,
            alpha=reserved.alpha,
            archive=reserved.archive,
            drop=drop.id,
            identity=identity,
            found_by=found_by,
            added_at=now,
            changed_at=now,
            is_kept=folder.originals == "keep",
            upload=upload,
        )
        self.ledger.add(job)
        return job
