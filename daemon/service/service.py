"""The service: one thread, one inbox, one loop."""

import logging
import queue
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from daemon import event_ids
from daemon.errors import printable
from daemon.hooks import delivery
from daemon.jobs import Hint, HotFolder, Outcome
from daemon.messages import EventsLost, FileEvent, JobEnded, Message, Reload, Stop
from daemon.notices import Answered
from daemon.reporting.report import Snapshot
from daemon.service.gathering import Gathering
from daemon.service.parts import Parts
from daemon.service.snapshot_maker import SnapshotMaker

logger = logging.getLogger(__name__)

TICK_S = 1.0  # the longest wait of the loop
MESSAGES_PER_TICK = 1000
DRAIN_S = 90.0
RECOVERY_S = 10.0

Inbox = queue.SimpleQueue[Message]


@dataclass(frozen=True, slots=True)
class Clocks:
    """All clocks of the service; tests step them."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    local: Callable[[float], datetime] = datetime.fromtimestamp


class Service:
    """Sequences the parts; every public step takes its time from the given clocks."""

    def __init__(self, parts: Parts, inbox: Inbox, *, clocks: Clocks, stop_hint: str = "") -> None:
        """``inbox`` gets the messages of watches, the engine and signals."""
        self.stop_hint = stop_hint
        self.parts = parts
        self.inbox = inbox
        self.clocks = clocks
        self.gathering = Gathering(inbox, parts.dispatcher, clocks.monotonic)
        self.next_sweep = parts.sweeps.due
        self.snapshot_maker = SnapshotMaker(parts, started_at=clocks.now())
        self.stop: Stop | None = None
        self.next_recovery = 0.0
        self.ended_jobs: list[tuple[str, Outcome]] = []
        """Jobs that have ended since the last delivery."""
        self.on_end: Callable[[], object] = lambda: None
        """Called for each picture that is done or rejected."""
        self.on_tick: Callable[[], object] = lambda: None
        """Called at the end of each turn of the loop."""
        parts.report_steps(self.note_progress)

    # --- the loop -------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until told to stop; finish what is in the engine, leave the rest for later."""
        self.startup()
        while self.stop is None:
            self.tick(self.wait_s())
        self.shutdown()

    def run_once(self, *, is_patient: bool) -> None:
        """Process what the folders hold now, then end; a patient run also waits for retries."""
        self.startup(is_lasting=False)
        while self.stop is None and self.has_work(is_patient=is_patient):
            self.tick(self.wait_s())
        self.shutdown()

    def count_unfinished(self) -> int:
        """Return how many pictures failed, or could not be done because of a problem."""
        resting = sum(map(len, self.parts.dispatcher.on_standby.values()))
        stopped = len(self.parts.queue) if self.stop is not None else 0
        refused = sum(state.refused for state in self.snapshot_maker.folders().values())
        waiting = resting + stopped + refused + len(self.parts.recovery.waiting)
        return self.parts.counters.failed + waiting + len(self.parts.standby.reasons)

    def startup(self, *, is_lasting: bool = True) -> None:
        """Recover, watch, sweep: so no file is missed. ``is_lasting``: it lives on without work."""
        now, monotonic = self.clocks.now(), self.clocks.monotonic()
        if is_lasting:
            self.parts.recovery.began_at = now
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
            "watching %s on %s: drop pictures there; results come into %s%s",
            ", ".join(printable(folder.path) for folder in folders),
            self.parts.engine.device,
            ", ".join(dict.fromkeys(printable(folder.output_root) for folder in folders)),
            self.stop_hint,
            extra={"MESSAGE_ID": event_ids.READY},
        )
        self.parts.report.update(self.snapshot(), monotonic=monotonic)
        self.parts.notifier.ready()

    def tick(self, wait_s: float) -> None:
        """Run the loop once: messages, then everything that is due."""
        with self.parts.ledger_outage.guarding():
            self.receive(wait_s)
            self.run_due()
        self.deliver_hooks()
        self.check_liveness()
        if self.parts.report.is_due(monotonic := self.clocks.monotonic()):
            self.parts.report.update(self.snapshot(), monotonic=monotonic)
        self.on_tick()

    def run_due(self) -> None:
        """Do everything that is due; nothing while the ledger cannot be written."""
        now, monotonic = self.clocks.now(), self.clocks.monotonic()
        folders = list(self.parts.folders)
        resumed = self.parts.standby.check(folders, monotonic=monotonic)
        if self.parts.standby.ledger_trouble:
            self.clean(monotonic=monotonic, now=now)  # a full disk may be the trouble
            return
        if self.parts.ledger_outage.is_on:
            self.parts.ledger_outage.end(now=now)
        for folder in resumed:
            self.parts.recovery.resume(folder, now=now)
            self.parts.dispatcher.resume(folder)
            self.next_sweep[folder.name] = 0.0
        for name in self.parts.folder_changes.finish_changes(now=now):
            self.next_sweep[name] = 0.0
        self.parts.sweeps.run_due(monotonic=monotonic, now=now, is_idle=self.inbox.empty())
        self.parts.queue.promote(now)
        if self.stop is None:
            self.parts.intake.take_in(monotonic=monotonic, now=now)
            self.parts.dispatcher.dispatch(now=now)
        self.parts.upload_notes.tidy(list(self.parts.folders), monotonic=monotonic)
        self.parts.orders.run_due(monotonic=monotonic, now=now)
        self.recover_rest(monotonic=monotonic, now=now)
        self.upkeep(monotonic=monotonic, now=now)

    def recover_rest(self, *, monotonic: float, now: float) -> None:
        """Look from time to time after what could not be recovered, entered or put back."""
        if monotonic >= self.next_recovery:
            self.next_recovery = monotonic + RECOVERY_S
            self.parts.recovery.look_again(monotonic=monotonic, now=now)

    def receive(self, wait_s: float) -> None:
        """Wait for a message, then take all others; outcomes are handled together."""
        wait_s = 0.0 if self.ended_jobs else wait_s  # some are left after an error
        due = self.clocks.monotonic() + wait_s
        with suppress(queue.Empty):
            self.handle(self.inbox.get(timeout=wait_s) if wait_s > 0 else self.inbox.get_nowait())
            for message in self.gathering.messages(self.ended_jobs, due=due):
                self.handle(message)
            for _ in range(MESSAGES_PER_TICK):
                self.handle(self.inbox.get_nowait())
        self.deliver()

    def handle(self, message: Message) -> None:
        """Act on one message."""
        match message:
            case FileEvent():
                monotonic, now = self.clocks.monotonic(), self.clocks.now()
                self.parts.watch_health.note_event(message.folder)
                self.parts.intake.handle_event(message, monotonic=monotonic, now=now)
            case JobEnded(job_id, outcome):
                self.ended_jobs.append((job_id, outcome))
            case Answered():
                self.parts.hook_delivery.note_reply(message)
            case Stop():
                logger.info("signal %s: stopping", message.signal)
                self.stop = message
            case Reload():
                self.deliver()  # with the settings that they started with
                self.reload()
            case EventsLost(name, reason):
                if self.next_sweep.get(name):  # one overflow is reported several times
                    logger.warning("folder %s: %s; looking at all of it", name, reason)
                self.next_sweep[name] = 0.0
                self.parts.watch_health.note_lost_events(name)

    def reload(self) -> None:
        """Use another configuration from now on, if it has no fault."""
        self.parts.notifier.reloading(monotonic=self.clocks.monotonic())
        for name in self.parts.reconfiguration.run():
            self.next_sweep[name] = 0.0
        self.parts.notifier.ready()

    def wait_s(self) -> float:
        """Return how long nothing is due; while the ledger fails nothing is started."""
        if self.parts.standby.ledger_trouble:
            return TICK_S
        monotonic, now = self.clocks.monotonic(), self.clocks.now()
        waits = [TICK_S, self.parts.liveness.next_sign - monotonic]
        if self.parts.queue.room and (due := self.parts.intake.settling.next_due()) is not None:
            waits.append(due - monotonic)
        if (later := self.parts.queue.next_due()) is not None:
            waits.append(later - now)
        return max(min(waits), 0.0)

    def has_work(self, *, is_patient: bool) -> bool:
        """Whether jobs are in the engine or can start, or files settle; standby does not count."""
        if self.parts.ledger_outage.is_on:
            return bool(self.parts.dispatcher.running)
        is_waiting = is_patient and self.parts.queue.next_due() is not None
        is_settling = self.parts.intake.settling.has_content()
        return self.parts.dispatcher.is_busy or is_settling or is_waiting

    def deliver(self) -> None:
        """Act on the jobs that have ended."""
        running, counters = self.parts.dispatcher.running, self.parts.counters
        ended = [(running.pop(job_id), outcome) for job_id, outcome in self.ended_jobs]
        self.ended_jobs.clear()
        before = counters.done + counters.failed
        self.parts.ledger_outage.deliver(ended, now=self.clocks.now())
        for _ in range(counters.done + counters.failed - before):
            self.on_end()

    def deliver_hooks(self) -> None:
        """Send committed notices; nothing while the ledger cannot be written."""
        if not self.parts.ledger_outage.is_on:
            with self.parts.ledger_outage.guarding():
                monotonic, now = self.clocks.monotonic(), self.clocks.now()
                self.parts.hook_delivery.run_once(monotonic=monotonic, now=now)

    def check_liveness(self) -> None:
        """Ping systemd, if a ping is due and everything makes progress."""
        self.parts.liveness.check(self.next_sweep, monotonic=self.clocks.monotonic())

    def note_progress(self) -> None:
        """Report progress in the middle of a long sweep or deletion."""
        self.parts.liveness.note_progress(monotonic=self.clocks.monotonic())
        self.check_liveness()

    # --- upkeep ---------------------------------------------------------------------------

    def upkeep(self, *, monotonic: float, now: float) -> None:
        """Do what is due by time."""
        self.parts.completion.finish_unarchived(monotonic=monotonic, now=now)
        self.parts.drops.upkeep(now=now, is_away=self.is_away)
        self.clean(monotonic=monotonic, now=now)

    def clean(self, *, monotonic: float, now: float) -> None:
        """Delete what is old, if that is due."""
        if (retention := self.parts.retention) is not None:
            retention.sweep(monotonic=monotonic, now=now, local_now=self.clocks.local(now))

    def is_away(self, name: str) -> bool:
        """Whether the disks of a folder are away; False for a folder that was removed."""
        folder = self.parts.folders.get(name)
        return folder is not None and self.parts.standby.is_away(folder)

    def snapshot(self) -> Snapshot:
        """Return the current state, for status."""
        return self.snapshot_maker.make(is_stopping=self.stop is not None)

    def sweep(self, folder: HotFolder, hint: Hint) -> None:
        """Sweep a whole folder, and check its watch."""
        monotonic, now = self.clocks.monotonic(), self.clocks.now()
        self.parts.sweeps.sweep(folder, hint, monotonic=monotonic, now=now)

    def shutdown(self) -> None:
        """Stop sweeping, finish what is in the engine, leave the rest to the ledger."""
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
        limit_s = delivery.DRAIN_S if self.stop is not None else delivery.ONCE_DRAIN_S
        self.parts.hook_delivery.drain(self.receive, clocks=self.clocks, limit_s=limit_s)
        self.parts.report.update(self.snapshot(), monotonic=float("inf"))
        text = "stopped; %s pictures wait for the next start"
        logger.info(text, len(self.parts.queue), extra={"MESSAGE_ID": event_ids.STOPPED})

    def drain(self) -> None:
        """Finish what is in the engine; the time-out begins anew with each picture."""
        running, left, deadline = self.parts.dispatcher.running, -1, self.clocks.monotonic()
        while running and (len(running) != left or self.clocks.monotonic() < deadline):
            if len(running) != left:
                left, deadline = len(running), self.clocks.monotonic() + DRAIN_S
                self.parts.notifier.extend_timeout()
            with self.parts.ledger_outage.guarding():
                self.receive(TICK_S)
            self.parts.liveness.check({}, monotonic=self.clocks.monotonic())  # no sweeps now
