"""Builds a service from its parts: the only place that names concrete classes.

Read it like a table of contents, a package at a time. Each part is made once, when another part
first needs it, and gets only what it uses. `lifecycle_parts` continues from here.
"""

from functools import cached_property
from pathlib import Path

from daemon.config.schema import Config
from daemon.hooks.delivery import HookDelivery
from daemon.hooks.outbox import Outbox
from daemon.ledger import ledger as ledgers
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.lifecycle.deletions import Deletions
from daemon.lifecycle.drops import Drops, FixedDrop, TimedDrops
from daemon.lifecycle.folder_registry import FolderRegistry
from daemon.lifecycle.orders import Orders
from daemon.lifecycle.withdrawals import Withdrawals
from daemon.reporting.report import Report
from daemon.retention.clock_trust import ClockTrust
from daemon.retention.contents import select_foreign
from daemon.retention.kept_originals import ledger_access
from daemon.retention.retention import Retention
from daemon.service.folder_changes import FolderChanges
from daemon.service.lifecycle_parts import LifecycleParts
from daemon.service.liveness import Liveness
from daemon.service.owned_folders import OwnedFolders
from daemon.service.parts import Parts
from daemon.service.reconfiguration import Reconfiguration
from daemon.service.service import Clocks, Inbox, Service
from daemon.service.supervision import Supervision
from daemon.service.sweeps import Sweeps
from daemon.watching.watch import Watcher
from daemon.watching.watch_health import WatchHealth
from daemon.worker.engines import Engine


def assemble(
    config: Config,
    owned: OwnedFolders,
    engine: Engine,
    *,
    inbox: Inbox,
    clocks: Clocks,
    is_watching: bool,
    supervision: Supervision | None = None,
) -> Service:
    """Return a service on hot folders, with time-stamped drops and retention.

    ``is_watching``: use events; else folders are only swept.
    """
    return Assembly(
        config,
        owned,
        engine,
        inbox=inbox,
        clocks=clocks,
        supervision=supervision,
        watcher=Watcher(inbox.put) if is_watching else None,
    ).service


def assemble_batch(
    config: Config, owned: OwnedFolders, out: Path, engine: Engine, *, inbox: Inbox, clocks: Clocks
) -> Service:
    """Return a service that fills one folder from another and keeps all originals."""
    return Assembly(config, owned, engine, inbox=inbox, clocks=clocks, batch_folder=out).service


class Assembly:
    """All parts of one service."""

    def __init__(
        self,
        config: Config,
        owned: OwnedFolders,
        engine: Engine,
        *,
        inbox: Inbox,
        clocks: Clocks,
        supervision: Supervision | None = None,
        watcher: Watcher | None = None,
        batch_folder: Path | None = None,
    ) -> None:
        """``batch_folder``: all results go there, and nothing is deleted later."""
        self.config = config
        self.owned = owned
        self.engine = engine
        self.inbox = inbox
        self.clocks = clocks
        self.supervision = supervision or Supervision()
        self.watcher = watcher
        self.batch_folder = batch_folder

    # --- ledger -------------------------------------------------------------------------------

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.owned.state / ledgers.FILE)

    @cached_property
    def records(self) -> Records:
        return Records(self.ledger)

    # --- watching -----------------------------------------------------------------------------

    @cached_property
    def watch_health(self) -> WatchHealth:
        return WatchHealth(self.watcher)

    # --- hooks --------------------------------------------------------------------------------

    @cached_property
    def outbox(self) -> Outbox:
        return Outbox(self.ledger, self.records, self.supervision.subscriptions)

    @cached_property
    def hook_delivery(self) -> HookDelivery:
        return HookDelivery(
            self.outbox, put=self.inbox.put, open_sender=self.supervision.open_sender
        )

    # --- lifecycle ----------------------------------------------------------------------------

    @cached_property
    def folders(self) -> FolderRegistry:
        return FolderRegistry(self.owned.folders)

    @cached_property
    def drops(self) -> Drops:
        if self.batch_folder is not None:
            now = self.clocks.now()
            return FixedDrop(self.batch_folder, ledger=self.ledger, records=self.records, now=now)
        return TimedDrops(
            self.folders.by_name,
            ledger=self.ledger,
            records=self.records,
            local_time=self.clocks.local,
            on_close=self.outbox.drop_closed,
        )

    @cached_property
    def lifecycle(self) -> LifecycleParts:
        return LifecycleParts(
            self.config,
            self.owned,
            self.engine,
            folders=self.folders,
            ledger=self.ledger,
            records=self.records,
            outbox=self.outbox,
            drops=self.drops,
            local_time=self.clocks.local,
            put=self.inbox.put,
        )

    @cached_property
    def orders(self) -> Orders:
        return Orders(
            self.folders,
            ledger=self.ledger,
            outbox=self.outbox,
            results=self.lifecycle.results,
            deletions=Deletions(
                ledger=self.ledger,
                records=self.records,
                drops=self.drops,
                manifests=self.drops.manifests,
                withdrawals=Withdrawals(
                    self.folders,
                    ledger=self.ledger,
                    records=self.records,
                    dispatcher=self.lifecycle.dispatcher,
                    results=self.lifecycle.results,
                ),
                select=select_foreign,
            ),
            quarantine=self.owned.quarantine,
            put=self.inbox.put,
        )

    # --- retention ----------------------------------------------------------------------------

    @cached_property
    def retention(self) -> Retention | None:
        if self.batch_folder is not None:
            return None
        return Retention(
            self.owned.folders,
            rejected=self.owned.quarantine,
            keep_days=self.config.retention.keep_days,
            sweep_s=self.config.retention.sweep_s,
            ledger_access=ledger_access(self.ledger, self.folders.by_name),
            is_trusted=ClockTrust(self.owned.state).is_trusted,
        )

    # --- reporting ----------------------------------------------------------------------------

    @cached_property
    def report(self) -> Report:
        supervision = self.supervision
        supervision.latest_snapshot.stages = lambda: self.engine.stages
        return Report(self.owned.state, supervision.notifier, post=supervision.latest_snapshot.post)

    # --- service ------------------------------------------------------------------------------

    @cached_property
    def liveness(self) -> Liveness:
        return Liveness(
            self.supervision.notifier,
            watchdog_s=self.supervision.watchdog_s,
            engine=self.engine,
            folders=self.folders,
            ledger=self.ledger,
            standby=self.lifecycle.standby,
            ledger_outage=self.lifecycle.ledger_outage,
            crash_note=self.owned.crash_note,
        )

    @cached_property
    def sweeps(self) -> Sweeps:
        return Sweeps(
            self.folders,
            standby=self.lifecycle.standby,
            intake=self.lifecycle.intake,
            watch_health=self.watch_health,
            liveness=self.liveness,
            clock=self.clocks.monotonic,
        )

    @cached_property
    def folder_changes(self) -> FolderChanges:
        return FolderChanges(
            self.folders,
            records=self.records,
            standby=self.lifecycle.standby,
            intake=self.lifecycle.intake,
            watch_health=self.watch_health,
            dispatcher=self.lifecycle.dispatcher,
            recovery=self.lifecycle.recovery,
            report=self.report,
        )

    @cached_property
    def reconfiguration(self) -> Reconfiguration:
        return Reconfiguration(
            self.folder_changes,
            self.hook_delivery,
            standby=self.lifecycle.standby,
            retention=self.retention,
            reread=self.supervision.reread,
        )

    @cached_property
    def service(self) -> Service:
        hint = self.supervision.stop_hint
        return Service(self.parts, self.inbox, clocks=self.clocks, stop_hint=hint)

    @cached_property
    def parts(self) -> Parts:
        return Parts(
            folders=self.folders,
            ledger=self.ledger,
            records=self.records,
            queue=self.lifecycle.queue,
            outbox=self.outbox,
            drops=self.drops,
            standby=self.lifecycle.standby,
            counters=self.lifecycle.counters,
            results=self.lifecycle.results,
            completion=self.lifecycle.completion,
            rejection=self.lifecycle.rejection,
            intake=self.lifecycle.intake,
            upload_notes=self.lifecycle.upload_notes,
            orders=self.orders,
            recovery=self.lifecycle.recovery,
            dispatcher=self.lifecycle.dispatcher,
            ledger_outage=self.lifecycle.ledger_outage,
            engine=self.engine,
            retention=self.retention,
            watch_health=self.watch_health,
            folder_changes=self.folder_changes,
            sweeps=self.sweeps,
            reconfiguration=self.reconfiguration,
            liveness=self.liveness,
            hook_delivery=self.hook_delivery,
            notifier=self.supervision.notifier,
            report=self.report,
        )
