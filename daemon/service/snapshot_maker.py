"""Makes a snapshot of all parts of the service."""

from collections import Counter
from pathlib import Path

from daemon.errors import printable
from daemon.ledger import upload_notes
from daemon.reporting.report import ClipState, FolderState, RefusedFile, Snapshot
from daemon.service.parts import Parts
from daemon.watching.refusals import EXAMPLES, Refusal, cannot_be_looked_into


class SnapshotMaker:
    """Reads all parts, and changes nothing."""

    def __init__(self, parts: Parts, *, started_at: float) -> None:
        """``started_at`` in UTC seconds."""
        self.parts = parts
        self.started_at = started_at

    def make(self, *, is_stopping: bool) -> Snapshot:
        """Return the current state."""
        counters = self.parts.counters
        return Snapshot(
            device=self.parts.engine.device,
            running=len(self.parts.dispatcher.running),
            queued=len(self.parts.queue),
            settling=len(self.parts.intake.settling),
            done=counters.done,
            failed=counters.failed,
            found_by=dict(self.parts.intake.found_by),
            standby=dict(self.parts.standby.reasons),
            polled=self.parts.watch_health.reasons,
            started_at=self.started_at,
            is_stopping=is_stopping,
            keep_days=0.0 if self.parts.retention is None else self.parts.retention.keep_days,
            min_free_mb=self.parts.standby.min_free_mb,
            output_roots=sorted(map(str, self.parts.folders.output_roots)),
            queue_size=self.parts.queue.size,
            folders=self.folders(),
            memory=self.parts.engine.memory,
            load=self.parts.engine.load,
            inside=self.parts.engine.inside,
            work=self.parts.engine.stages,
            clips=self.clips(),
            stages={stage: timings.histogram for stage, timings in counters.stages.items()},
            pictures=counters.pictures.histogram,
            stalled=list(self.parts.liveness.reasons),
            hooks=self.parts.hook_delivery.states,
            cluster=self.parts.engine.cluster,
        )

    def clips(self) -> dict[str, ClipState]:
        """Return the clips in work, by job."""
        running = self.parts.dispatcher.running
        return {
            job_id: ClipState(
                printable(job.relative),
                job.folder,
                progress.frames,
                progress.total,
                progress.frames_per_s,
                progress.left_s,
            )
            for job_id, progress in self.parts.engine.clips.items()
            if (job := running.get(job_id)) is not None
        }

    def folders(self) -> dict[str, FolderState]:
        """Return each hot folder by its name."""
        queued = Counter(job.folder for job in self.parts.queue.jobs())
        queued.update(Counter(self.parts.recovery.waiting.values()))
        running = Counter(job.folder for job in self.parts.dispatcher.running.values())
        return {
            name: FolderState(
                path=str(folder.path),
                output_root=str(folder.output_root),
                unclaimed=self.parts.intake.backlog.count(name),
                oldest_at=self.parts.intake.backlog.oldest_at(name),
                queued=queued[name] + len(self.parts.dispatcher.on_standby.get(name, ())),
                running=running[name],
                verdicts=self.parts.counters.of(name),
                found_by=self.parts.intake.found_in(name),
                second=self.parts.counters.second_of(name),
                ignored=self.parts.intake.inventory.left.count(name),
                changed=self.parts.drops.manifests.changed[name],
                refused=self.parts.intake.inventory.refused.count(name)
                + len(self.closed_below(folder.path)),
                refusals=[
                    RefusedFile(str(path), refusal.reason, refusal.mend)
                    for path, refusal in self.refusals(name, folder.path)
                ],
                rendering=upload_notes.stored(folder.rendering) if folder.has_uploads else {},
                model=folder.model,
            )
            for name, folder in self.parts.folders.by_name.items()
        }

    def refusals(self, name: str, top: Path) -> list[tuple[Path, Refusal]]:
        """Return some files that cannot be taken, and sub-folders that are closed to us."""
        closed = [
            (place, cannot_be_looked_into(place, reason))
            for place, reason in self.closed_below(top).items()
        ]
        return [*closed, *self.parts.intake.inventory.refused.examples(name)][:EXAMPLES]

    def closed_below(self, top: Path) -> dict[Path, str]:
        """Return the sub-folders of a hot folder that cannot be looked into, and why."""
        closed = self.parts.intake.access_errors.closed
        return {place: why for place, why in closed.items() if place.is_relative_to(top)}
