"""The look over all parts of the service that becomes a snapshot."""

from collections import Counter

from daemon.delivery import Delivery
from daemon.dispatcher import Dispatcher
from daemon.engines import Engine
from daemon.hearing import Hearing
from daemon.hooks.herald import Herald
from daemon.intake import Intake, Shelf
from daemon.report import FolderState, Snapshot


class Survey:
    """Reads, and changes nothing."""

    def __init__(
        self,
        shelf: Shelf,
        *,
        intake: Intake,
        dispatcher: Dispatcher,
        delivery: Delivery,
        hearing: Hearing,
        engine: Engine,
        herald: Herald,
        started_at: float,
    ) -> None:
        """``started_at`` in UTC seconds."""
        self.shelf = shelf
        self.intake = intake
        self.dispatcher = dispatcher
        self.delivery = delivery
        self.hearing = hearing
        self.engine = engine
        self.herald = herald
        self.started_at = started_at

    def snapshot(self, *, is_stopping: bool) -> Snapshot:
        """The daemon at this moment."""
        tally = self.delivery.tally
        return Snapshot(
            device=self.engine.device,
            running=len(self.dispatcher.running),
            queued=len(self.shelf.queue),
            settling=len(self.intake.settle),
            done=tally.done,
            failed=tally.failed,
            found_by=dict(self.intake.found_by),
            standby=dict(self.shelf.standby.reasons),
            polled=self.hearing.reasons,
            started_at=self.started_at,
            is_stopping=is_stopping,
            queue_size=self.shelf.queue.size,
            folders=self.folders(),
            memory=self.engine.memory,
            stages={stage: timings.histogram for stage, timings in tally.stages.items()},
            pictures=tally.pictures.histogram,
            hooks=self.herald.states,
        )

    def folders(self) -> dict[str, FolderState]:
        """Each hot folder by its name."""
        queued = Counter(job.folder for job in self.shelf.queue.jobs())
        running = Counter(job.folder for job in self.dispatcher.running.values())
        return {
            name: FolderState(
                path=str(folder.path),
                output_root=str(folder.output_root),
                unclaimed=self.intake.backlog.count(name),
                oldest_at=self.intake.backlog.oldest_at(name),
                queued=queued[name] + len(self.dispatcher.resting.get(name, ())),
                running=running[name],
                verdicts=self.delivery.tally.of(name),
                found_by=self.intake.found_in(name),
            )
            for name, folder in self.shelf.folders.items()
        }
