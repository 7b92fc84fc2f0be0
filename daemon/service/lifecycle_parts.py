"""Builds the parts of `daemon.lifecycle`; each gets only what it uses."""

from collections.abc import Callable
from datetime import datetime
from functools import cached_property, partial

from daemon.config import request_options as options
from daemon.config.model_names import model_names
from daemon.config.schema import Config
from daemon.hooks.outbox import Outbox
from daemon.ledger.claim_folders import ClaimFolders
from daemon.ledger.job_queue import JobQueue
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.ledger.uploads import Uploads
from daemon.lifecycle.broken_transfers import BrokenTransfers
from daemon.lifecycle.claim_guard import ClaimGuard
from daemon.lifecycle.claim_recovery import ClaimRecovery
from daemon.lifecycle.claiming import Claiming
from daemon.lifecycle.closing import Closing
from daemon.lifecycle.completion import Completion
from daemon.lifecycle.counters import Counters
from daemon.lifecycle.deferral import Deferral
from daemon.lifecycle.delivery import Delivery
from daemon.lifecycle.dispatcher import Dispatcher
from daemon.lifecycle.drops import Drops
from daemon.lifecycle.failures import Failures
from daemon.lifecycle.folder_registry import FolderRegistry
from daemon.lifecycle.intake import Intake
from daemon.lifecycle.job_recovery import JobRecovery
from daemon.lifecycle.ledger_outage import LedgerOutage
from daemon.lifecycle.leftovers import Leftovers
from daemon.lifecycle.originals import Originals
from daemon.lifecycle.placement import Placement
from daemon.lifecycle.recovery import Recovery
from daemon.lifecycle.rejection import Rejection
from daemon.lifecycle.requeue import Requeue
from daemon.lifecycle.results import Results
from daemon.lifecycle.standby import Standby
from daemon.lifecycle.state_folder import StateFolder
from daemon.lifecycle.upload_notes import UploadNotes
from daemon.messages import Message
from daemon.service.owned_folders import OwnedFolders
from daemon.watching.access_errors import AccessErrors
from daemon.worker.engines import Engine


class LifecycleParts:
    """A table of contents: each part is made once, when it is first needed."""

    def __init__(  # noqa: PLR0913  # everything that comes from other packages
        self,
        config: Config,
        owned: OwnedFolders,
        engine: Engine,
        *,
        folders: FolderRegistry,
        ledger: Ledger,
        records: Records,
        outbox: Outbox,
        drops: Drops,
        local_time: Callable[[float], datetime],
        put: Callable[[Message], None],
    ) -> None:
        """``put`` takes messages from the engine's threads."""
        self.config = config
        self.owned = owned
        self.engine = engine
        self.folders = folders
        self.ledger = ledger
        self.records = records
        self.outbox = outbox
        self.drops = drops
        self.local_time = local_time
        self.put = put

    # --- what its parts share -----------------------------------------------------------------

    @cached_property
    def queue(self) -> JobQueue:
        return JobQueue(self.config.worker.queue_size)

    @cached_property
    def claims(self) -> ClaimGuard:
        return ClaimGuard(ClaimFolders(self.ledger), self.records)

    @cached_property
    def standby(self) -> Standby:
        return Standby(
            min_free_mb=self.config.retention.min_free_mb,
            state=self.owned.state,
            quarantine=self.owned.quarantine,
            check_ledger=self.state_folder.check,
            look_at_ledger=self.state_folder.look,
            check_claims=self.claims.check,
            cluster=lambda: self.engine.cluster,
            locks=self.owned.locks,
        )

    @cached_property
    def state_folder(self) -> StateFolder:
        return StateFolder(
            self.owned.state,
            ledger=self.ledger,
            lock=self.owned.state_lock,
            in_work=lambda: len(self.dispatcher.running),
            on_anew=lambda: self.ledger_outage.begin_anew(),
        )

    @cached_property
    def placement(self) -> Placement:
        return Placement(
            ledger=self.ledger,
            records=self.records,
            drops=self.drops,
            standby=self.standby,
            local_time=self.local_time,
        )

    @cached_property
    def counters(self) -> Counters:
        return Counters()

    # --- a picture's way ----------------------------------------------------------------------

    @cached_property
    def intake(self) -> Intake:
        return Intake(
            self.folders,
            ledger=self.ledger,
            records=self.records,
            queue=self.queue,
            standby=self.standby,
            claiming=self.claiming,
        )

    @cached_property
    def claiming(self) -> Claiming:
        return Claiming(
            ledger=self.ledger,
            records=self.records,
            placement=self.placement,
            guard=self.claims,
            access_errors=AccessErrors(),
            notes=self.upload_notes,
            quarantine=self.owned.quarantine,
        )

    @cached_property
    def upload_notes(self) -> UploadNotes:
        known = model_names(self.config)
        return UploadNotes(Uploads(self.ledger), partial(options.render, models=known))

    @cached_property
    def dispatcher(self) -> Dispatcher:
        return Dispatcher(
            self.folders,
            self.engine,
            ledger=self.ledger,
            queue=self.queue,
            standby=self.standby,
            placement=self.placement,
            put=self.put,
            max_pixels=int(self.config.worker.max_megapixels * 1e6),
        )

    @cached_property
    def results(self) -> Results:
        return Results(ledger=self.ledger, records=self.records, placement=self.placement)

    @cached_property
    def originals(self) -> Originals:
        return Originals(
            self.folders, ledger=self.ledger, standby=self.standby, claiming=self.claiming
        )

    @cached_property
    def closing(self) -> Closing:
        return Closing(
            ledger=self.ledger, outbox=self.outbox, drops=self.drops, counters=self.counters
        )

    @cached_property
    def completion(self) -> Completion:
        return Completion(
            self.folders,
            ledger=self.ledger,
            records=self.records,
            standby=self.standby,
            results=self.results,
            originals=self.originals,
            closing=self.closing,
        )

    @cached_property
    def requeue(self) -> Requeue:
        return Requeue(self.folders, ledger=self.ledger, records=self.records, queue=self.queue)

    @cached_property
    def rejection(self) -> Rejection:
        return Rejection(
            ledger=self.ledger,
            originals=self.originals,
            closing=self.closing,
            quarantine=self.owned.quarantine,
        )

    @cached_property
    def deferral(self) -> Deferral:
        return Deferral(
            ledger=self.ledger,
            placement=self.placement,
            requeue=self.requeue,
            broken_transfers=BrokenTransfers(
                ledger=self.ledger, records=self.records, originals=self.originals
            ),
            counters=self.counters,
        )

    @cached_property
    def failures(self) -> Failures:
        return Failures(
            self.folders,
            standby=self.standby,
            deferral=self.deferral,
            results=self.results,
            completion=self.completion,
            requeue=self.requeue,
            rejection=self.rejection,
            counters=self.counters,
        )

    @cached_property
    def delivery(self) -> Delivery:
        return Delivery(
            self.folders,
            results=self.results,
            completion=self.completion,
            failures=self.failures,
            rejection=self.rejection,
            requeue=self.requeue,
        )

    # --- after a life that ended too early ----------------------------------------------------

    @cached_property
    def recovery(self) -> Recovery:
        return Recovery(
            self.folders,
            ledger=self.ledger,
            records=self.records,
            standby=self.standby,
            queue=self.queue,
            jobs=self.job_recovery,
            claims=self.claim_recovery,
            leftovers=self.leftovers,
        )

    @cached_property
    def job_recovery(self) -> JobRecovery:
        return JobRecovery(
            ledger=self.ledger,
            results=self.results,
            completion=self.completion,
            rejection=self.rejection,
            delivery=self.delivery,
            waiting=self.requeue.waiting,
            crash=self.owned.crash_note.before,
        )

    @cached_property
    def claim_recovery(self) -> ClaimRecovery:
        return ClaimRecovery(
            ledger=self.ledger,
            records=self.records,
            queue=self.queue,
            claiming=self.claiming,
            originals=self.originals,
        )

    @cached_property
    def leftovers(self) -> Leftovers:
        quarantine, state = self.owned.quarantine, self.owned.state
        return Leftovers(self.folders, records=self.records, quarantine=quarantine, state=state)

    # --- while the ledger cannot be written ---------------------------------------------------

    @cached_property
    def ledger_outage(self) -> LedgerOutage:
        return LedgerOutage(
            self.folders,
            ledger=self.ledger,
            records=self.records,
            standby=self.standby,
            delivery=self.delivery,
            dispatcher=self.dispatcher,
            recovery=self.recovery,
        )
