"""The daemon's life: one thread, one inbox, one loop."""

import logging
import queue
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from daemon import event_ids
from daemon.errors import printable
from daemon.hooks.delivery import DRAIN_S as DRAIN_HOOKS_S
from daemon.hooks.delivery import PATIENT_DRAIN_S
from daemon.jobs import Hint, HotFolder, Outcome
from daemon.messages import Ended, Message, Reload, Seen, Stop, WatchTrouble
from daemon.notices import Told
from daemon.reporting.report import Snapshot
from daemon.service.parts import Parts
from daemon.service.snapshot_maker import SnapshotMaker

logger = logging.getLogger(__name__)

TICK_S = 1.0  # the loop never sleeps longer
MESSAGES_PER_TICK = 1000
DRAIN_S = 90.0
ADOPTION_S = 10.0

Inbox = queue.SimpleQueue[Message]


@dataclass(frozen=True, slots=True)
class Clocks:
    """All time that the service knows; tests step it."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    local: Callable[[float], datetime] = datetime.fromtimestamp


class Service:
    """Sequences the parts; every public step takes its time from the clocks it was given."""

    def __init__(self, parts: Parts, inbox: Inbox, *, clocks: Clocks) -> None:
        """``inbox`` is where watches, the engine and signals put their messages."""
        self.parts = parts
        self.inbox = inbox
        self.clocks = clocks
        self.next_sweep = parts.sweeps.due
        self.snapshot_maker = SnapshotMaker(parts, started_at=clocks.now())
        self.stop: Stop | None = None
        self.next_adoption = 0.0
        self.ended: list[tuple[str, Outcome]] = []
        """Jobs that have come back since the last delivery."""
        self.on_done: Callable[[], object] = lambda: None
        parts.intake.on_step = self.note_progress
        if parts.retention is not None:
            parts.retention.on_step = self.note_progress

    # --- the loop -------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until told to stop; what is in the model ends, the rest is for next time."""
        self.startup()
        while self.stop is None:
            self.tick(self.wait_s())
        self.shutdown()

    def run_once(self, *, is_patient: bool) -> None:
        """Process what the folders hold now, then end; a patient one also waits for retries."""
        self.startup()
        while self.stop is None and self.has_work(is_patient=is_patient):
            self.tick(self.wait_s())
        self.shutdown()

    def undone(self) -> int:
        """How many pictures failed in this life, or were kept from being done by trouble."""
        resting = sum(map(len, self.parts.dispatcher.resting.values()))
        stopped = len(self.parts.queue) if self.stop is not None else 0
        return self.parts.counters.failed + resting + stopped + len(self.parts.standby.reasons)

    def startup(self) -> None:
        """Recover, watch, then look: in this order nothing slips through."""
        now, monotonic = self.clocks.now(), self.clocks.monotonic()
        folders = list(self.parts.folders)
        self.parts.standby.check(folders, monotonic=monotonic, is_thorough=True)
        with self.parts.ledger_outage.guarding():
            self.parts.ledger_outage.recover(now=now)
        self.parts.watch_health.start()
        for folder in folders:
            self.parts.notifier.loading(f"looking at folder {folder.name}")
            with self.parts.ledger_outage.guarding():
                self.sweep(folder, Hint.STARTUP)
        logger.info(
            "watching %s on %s",
            ", ".join(printable(folder.path) for folder in self.parts.folders),
            self.parts.engine.device,
            extra={"MESSAGE_ID": event_ids.READY},
        )
        self.parts.report.update(self.snapshot(), monotonic=monotonic)
        self.parts.notifier.ready()

    def tick(self, wait_s: float) -> None:
        """One turn: messages, then everything that is due."""
        with self.parts.ledger_outage.guarding():
            self.receive(wait_s)
            self.work()
        self.tell_hooks()
        self.check_liveness()
        if self.parts.report.is_due(monotonic := self.clocks.monotonic()):
            self.parts.report.update(self.snapshot(), monotonic=monotonic)

    def work(self) -> None:
        """Everything that is due; nothing while the ledger cannot be written."""
        now, monotonic = self.clocks.now(), self.clocks.monotonic()
        folders = list(self.parts.folders)
        resumed = self.parts.standby.check(folders, monotonic=monotonic)
        if self.parts.standby.ledger_trouble:
            return
        if self.parts.ledger_outage.is_on:
            self.parts.ledger_outage.end(now=now)
        for folder in resumed:
            self.parts.recovery.resume(folder, now=now)
            self.parts.dispatcher.resume(folder)
            self.next_sweep[folder.name] = 0.0
        for name in self.parts.folder_changes.settle(now=now):
            self.next_sweep[name] = 0.0
        self.parts.sweeps.run_due(monotonic=monotonic, now=now, is_idle=self.inbox.empty())
        self.parts.queue.promote(now)
        if self.stop is None:
            self.parts.intake.take_in(monotonic=monotonic, now=now)
            self.parts.dispatcher.dispatch(now=now)
        self.adopt_stranded(monotonic=monotonic, now=now)
        self.upkeep(monotonic=monotonic, now=now)

    def adopt_stranded(self, *, monotonic: float, now: float) -> None:
        """Claimed files that could be neither entered nor put back are looked after."""
        if monotonic < self.next_adoption:
            return
        self.next_adoption = monotonic + ADOPTION_S
        for name in sorted(self.parts.intake.stranded):
            folder = self.parts.folders.get_open(name)
            if folder is not None and not self.parts.standby.has(name):
                self.parts.recovery.resume(folder, now=now)

    def receive(self, wait_s: float) -> None:
        """Wait for a message, then take what else is there; outcomes are acted on together."""
        wait_s = 0.0 if self.ended else wait_s  # some were left by trouble
        with suppress(queue.Empty):
            self.handle(self.inbox.get(timeout=wait_s) if wait_s > 0 else self.inbox.get_nowait())
            for _ in range(MESSAGES_PER_TICK):
                self.handle(self.inbox.get_nowait())
        self.deliver()

    def handle(self, message: Message) -> None:
        """Act on one message."""
        match message:
            case Seen():
                monotonic, now = self.clocks.monotonic(), self.clocks.now()
                self.parts.watch_health.hear(message.folder)
                self.parts.intake.see(message, monotonic=monotonic, now=now)
            case Ended(job_id, outcome):
                self.ended.append((job_id, outcome))
            case Told():
                self.parts.hook_delivery.hear(message)
            case Stop():
                logger.info("signal %s: stopping", message.signal)
                self.stop = message
            case Reload():
                self.deliver()  # by the settings that they were begun with
                self.reload()
            case WatchTrouble(name, reason):
                if self.next_sweep.get(name):  # one overflow is told several times
                    logger.warning("folder %s: %s; looking at all of it", name, reason)
                self.next_sweep[name] = 0.0
                self.parts.watch_health.excuse(name)

    def reload(self) -> None:
        """Another configuration from now on, if there is nothing wrong with it."""
        self.parts.notifier.reloading(monotonic=self.clocks.monotonic())
        for name in self.parts.reconfiguration.run():
            self.next_sweep[name] = 0.0
        self.parts.notifier.ready()

    def wait_s(self) -> float:
        """How long nothing is due; while the ledger is in trouble nothing is begun."""
        if self.parts.standby.ledger_trouble:
            return TICK_S
        monotonic, now = self.clocks.monotonic(), self.clocks.now()
        waits = [TICK_S, self.parts.liveness.next_sign - monotonic]
        if self.parts.queue.room and (due := self.parts.intake.settle.next_due()) is not None:
            waits.append(due - monotonic)
        if (later := self.parts.queue.next_due()) is not None:
            waits.append(later - now)
        return max(min(waits), 0.0)

    def has_work(self, *, is_patient: bool) -> bool:
        """Something is in the engine, could be, or settles; resting jobs do not count."""
        if self.parts.ledger_outage.is_on:
            return bool(self.parts.dispatcher.running)
        is_waiting = is_patient and self.parts.queue.next_due() is not None
        is_settling = self.parts.intake.settle.holds_content()
        return self.parts.dispatcher.is_busy or is_settling or is_waiting

    def deliver(self) -> None:
        """Act on the jobs that have come back."""
        running, counters = self.parts.dispatcher.running, self.parts.counters
        ended = [(running.pop(job_id), outcome) for job_id, outcome in self.ended]
        self.ended.clear()
        done = counters.done
        self.parts.ledger_outage.deliver(ended, now=self.clocks.now())
        for _ in range(counters.done - done):
            self.on_done()

    def tell_hooks(self) -> None:
        """What has been committed is told; nothing while the ledger cannot be written."""
        if not self.parts.ledger_outage.is_on:
            with self.parts.ledger_outage.guarding():
                monotonic, now = self.clocks.monotonic(), self.clocks.now()
                self.parts.hook_delivery.turn(monotonic=monotonic, now=now)

    def check_liveness(self) -> None:
        """A sign of life for systemd, if it is time for one and everything gets on."""
        self.parts.liveness.check(self.next_sweep, monotonic=self.clocks.monotonic())

    def note_progress(self) -> None:
        """In the middle of a sweep or a deletion, which may be long: until its end none is due."""
        self.parts.liveness.note_progress(monotonic=self.clocks.monotonic())
        self.check_liveness()

    # --- upkeep ---------------------------------------------------------------------------

    def upkeep(self, *, monotonic: float, now: float) -> None:
        """What is due by time."""
        self.parts.completion.finish_unarchived(monotonic=monotonic, now=now)
        self.parts.drops.upkeep(now=now, is_away=self.is_away)
        if self.parts.retention is not None:
            local_now = self.clocks.local(now)
            self.parts.retention.sweep(monotonic=monotonic, now=now, local_now=local_now)

    def is_away(self, name: str) -> bool:
        """The disks of a folder are not there; one that is not configured any more has none."""
        folder = self.parts.folders.get(name)
        return folder is not None and self.parts.standby.is_away(folder)

    def snapshot(self) -> Snapshot:
        """The moment, for status."""
        return self.snapshot_maker.make(is_stopping=self.stop is not None)

    def sweep(self, folder: HotFolder, hint: Hint) -> None:
        """Look at a whole folder, and at its watch."""
        monotonic, now = self.clocks.monotonic(), self.clocks.now()
        self.parts.sweeps.sweep(folder, hint, monotonic=monotonic, now=now)

    def shutdown(self) -> None:
        """Stop looking, end what is in the model, leave the rest to the ledger."""
        self.parts.notifier.stopping()
        self.parts.notifier.status(f"stopping; {self.snapshot().line}")
        self.parts.watch_health.stop()
        self.parts.engine.drain()
        self.drain()
        self.parts.engine.close()
        now = self.clocks.now()
        with self.parts.ledger_outage.guarding():
            if self.parts.ledger_outage.is_on:
                self.parts.ledger_outage.end(now=now)
            self.parts.drops.upkeep(now=now, is_away=self.is_away, is_final=True)
        limit_s = DRAIN_HOOKS_S if self.stop is not None else PATIENT_DRAIN_S
        self.parts.hook_delivery.drain(self.receive, clocks=self.clocks, limit_s=limit_s)
        self.parts.report.update(self.snapshot(), monotonic=float("inf"))
        text = "stopped; %s pictures wait for the next start"
        logger.info(text, len(self.parts.queue), extra={"MESSAGE_ID": event_ids.STOPPED})

    def drain(self) -> None:
        """End what is in the model; the time for it begins anew with each picture that ends."""
        running, left = self.parts.dispatcher.running, -1
        deadline = self.clocks.monotonic()
        while running and (len(running) != left or self.clocks.monotonic() < deadline):
            if len(running) != left:
                left, deadline = len(running), self.clocks.monotonic() + DRAIN_S
                self.parts.notifier.extend()
            with self.parts.ledger_outage.guarding():
                self.receive(TICK_S)
            # No folder is looked at any more.
            self.parts.liveness.check({}, monotonic=self.clocks.monotonic())
