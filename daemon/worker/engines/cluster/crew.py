"""Which worker gets which picture, and what follows when one is lost. One thread calls it.

It waits for nothing: commands go to the cluster, what comes of them arrives as events, and whatever
may wait for a disk is handed to `Crew.aside`.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from itertools import count

from daemon.jobs import Cancelled, Done, Outcome
from daemon.worker.engines.cluster import judging, lost_workers
from daemon.worker.engines.cluster.calls import TaskCall
from daemon.worker.engines.cluster.judging import Verdict
from daemon.worker.engines.cluster.late_parts import LateParts, remove_parts
from daemon.worker.engines.cluster.lost_workers import End, LostWorker
from daemon.worker.engines.cluster.messages import (
    Answered,
    Broken,
    Call,
    Command,
    Inquire,
    Kill,
    Node,
    Run,
)
from daemon.worker.engines.cluster.node_worker import Line
from daemon.worker.engines.cluster.seats import Seat

logger = logging.getLogger(__name__)

#: One that owes a report for so long gets no more pictures until it has answered.
QUIET_S = 6.0
#: Runs a function beside, then gives what it returns to another one in the crew's thread.
Aside = Callable[[Callable[[], object], Callable[[object], None]], None]


class Crew:
    """All seats, and the tasks that wait for one."""

    def __init__(
        self, send: Callable[[Command], None], aside: Aside, clock: Callable[[], float]
    ) -> None:
        """``clock``: monotonic."""
        self.send = send
        self.aside = aside
        self.clock = clock
        self.numbers = count(1)
        self.seats: dict[tuple[str, int], Seat] = {}
        self.nodes: dict[str, Node] = {}
        self.calls: dict[int, TaskCall] = {}
        """By the number of their call."""
        self.lost_workers: dict[int, LostWorker] = {}
        """By the number of their call."""
        self.judged = 0
        """Answers that are looked at aside."""
        self.waiting: deque[TaskCall] = deque()
        self.late_parts = LateParts()
        self.is_draining = False

    # --- tasks ----------------------------------------------------------------------------------

    def submit(self, task_call: TaskCall, *, now: float) -> None:
        """Give a task to a worker, or keep it until one has room."""
        if self.is_draining:
            task_call.future.set_result(Cancelled())
            return
        self.waiting.append(task_call)
        self.assign(now=now)

    def assign(self, *, now: float) -> None:
        """Give waiting tasks to workers, in their order; suspects run alone."""
        suspects = [task_call for task_call in self.waiting if task_call.task.is_suspect]
        others = deque(task_call for task_call in self.waiting if not task_call.task.is_suspect)
        left = [one for one in suspects if not self.place(one, now=now)]
        if not left:
            for seat in self.seats.values():
                seat.is_reserved = False
        while others and self.place(others[0], now=now):
            others.popleft()
        self.waiting = deque(left) + others

    def place(self, task_call: TaskCall, *, now: float) -> bool:
        """Give a task to a worker, if one takes it now."""
        seat = self.seat_for(task_call.task.is_suspect, now=now)
        if seat is not None:
            self.give(seat, task_call)
        return seat is not None

    def seat_for(self, is_suspect: bool, *, now: float) -> Seat | None:
        """Return a seat that takes one more; a suspect reserves one until it is empty."""
        free = [one for one in self.seats.values() if self.is_usable(one, now=now)]
        if not is_suspect:
            open_ = [s for s in free if not s.is_reserved and len(s.running) < s.depth]
            return min(open_, key=lambda one: len(one.running) / one.depth, default=None)
        seat = min(free, key=lambda one: (not one.is_reserved, len(one.running)), default=None)
        if seat is None or not seat.running:
            return seat
        seat.is_reserved = True
        return None

    def is_usable(self, seat: Seat, *, now: float) -> bool:
        """Whether it takes pictures at this moment."""
        return seat.word == "warm" and not seat.is_alone and not seat.is_silent(now, QUIET_S)

    def give(self, seat: Seat, task_call: TaskCall) -> None:
        """Send a task to a worker."""
        assert seat.worker is not None
        call = next(self.numbers)
        task_call.seat = seat
        seat.running.add(call)
        seat.is_alone = task_call.task.is_suspect
        seat.is_reserved = False
        self.calls[call] = task_call
        self.send(Run(call, seat.worker, task_call.task))

    def answer(self, event: Answered | Broken, *, now: float) -> bool:
        """A call has ended; False if it ran no task that is still wanted."""
        if event.call in self.lost_workers:
            said = event.value if isinstance(event, Answered) else None
            self.settle_loss(event.call, said, now=now)
            return True
        task_call = self.calls.get(event.call)
        if task_call is None or task_call.seat is None:
            return False
        seat = task_call.seat
        if isinstance(event, Broken) and event.is_death:
            self.lose(seat, event.reason, now=now, end=End.TAKEN if event.is_machines else End.GONE)
            return True
        del self.calls[event.call]
        seat.running.discard(event.call)
        seat.is_alone = False
        if isinstance(event, Broken):
            self.doubt(seat, event.reason, now=now)
            self.end(task_call, lost_workers.counts(f"{seat.label}: {event.reason}"), now=now)
            return True
        self.judged += 1
        worker = seat.worker
        look = partial(judging.judge, task_call.task, event.value)
        self.aside(look, lambda verdict: self.conclude(task_call, seat, worker, verdict))
        return True

    def conclude(
        self, task_call: TaskCall, seat: Seat, worker: int | None, verdict: object
    ) -> None:
        """The answer was looked at."""
        self.judged -= 1
        now = self.clock()
        if not isinstance(verdict, Verdict):
            verdict = Verdict(lost_workers.counts(f"the share does not answer: {verdict}"))
        if isinstance(verdict.outcome, Done):
            seat.count_done(now)
        if verdict.fault and seat.worker == worker and worker is not None:
            if verdict.is_fatal:
                self.lose(seat, verdict.fault, now=now, end=End.UNFIT)
            else:
                self.doubt(seat, verdict.fault, now=now)
        self.end(task_call, verdict.outcome, now=now, is_watched=bool(verdict.fault))

    def end(
        self, task_call: TaskCall, outcome: Outcome, *, now: float, is_watched: bool = True
    ) -> None:
        """Give a task its outcome, once."""
        if is_watched and not isinstance(outcome, Done):
            self.late_parts.add([task_call.task], now=now)
        task_call.future.set_result(outcome)

    # --- workers --------------------------------------------------------------------------------

    def lose(self, seat: Seat, why: str, *, now: float, end: End = End.GONE) -> None:
        """A worker is gone or is ended; its tasks go to others. ``end``: what follows for them."""
        log = logger.info if seat.word == "lost" else logger.warning
        log("%s: its worker is lost: %s", seat.label, why, extra=fields(seat))
        if seat.worker is not None:
            self.send(Kill(seat.worker))
        lost, note = self.taken_from(seat), seat.crash_note
        seat.vacate(why, now=now)
        if not lost:
            return
        lost_worker = LostWorker(
            lost, seat.node.id, seat.label, why, end, now + lost_workers.PATIENCE_S
        )
        if end in (End.GONE, End.SILENT):
            call = next(self.numbers)
            self.lost_workers[call] = lost_worker
            self.send(Inquire(call, seat.node.id, note))
            return
        outcome: Outcome = Cancelled() if end is End.UNFIT else lost_worker.verdict(None)
        self.end_all(lost, outcome, now=now)

    def settle_loss(self, call: int, answer: object, *, now: float) -> None:
        """A node has said what it knows, or nothing; ``answer``: None if nothing."""
        lost_worker = self.lost_workers.pop(call)
        self.end_all(lost_worker.calls, lost_worker.verdict(answer), now=now)

    def settle_late_losses(self, *, now: float) -> None:
        """Wait no longer for nodes that are gone, or do not answer."""
        for call, one in list(self.lost_workers.items()):
            if one.until <= now or one.node not in self.nodes:
                self.settle_loss(call, None, now=now)

    def end_all(self, calls: Iterable[TaskCall], outcome: Outcome, *, now: float) -> None:
        """Give tasks of a lost worker the same outcome."""
        for task_call in calls:
            self.end(task_call, outcome, now=now)

    def doubt(self, seat: Seat, why: str, *, now: float) -> None:
        """A picture has met trouble of its worker's machine; the others there meet the same."""
        if seat.word != "off":
            self.switch_off(seat, why, now=now)

    def switch_off(self, seat: Seat, why: str, *, now: float) -> None:
        """A worker lives, but its machine is in trouble: it is looked at again in a while."""
        if seat.word == "warm" or why != seat.why:
            logger.warning("%s is not used: %s", seat.label, why, extra=fields(seat))
        seat.set("off", why, now=now)
        seat.put_off(now=now)

    def taken_from(self, seat: Seat) -> list[TaskCall]:
        """Return the calls of a seat, which has them no more."""
        return [self.calls.pop(call) for call in list(seat.running) if call in self.calls]

    def lose_all(self, why: str, *, now: float, is_counted: bool) -> None:
        """The cluster is away; everything in it may still go on for a while.

        ``is_counted``: as a death of each picture in work, because one of them may be the cause.
        """
        outcome: Outcome = lost_workers.excused(why) if is_counted else Cancelled()
        for seat in list(self.seats.values()):
            self.end_all(self.taken_from(seat), outcome, now=now)
        for lost_worker in self.lost_workers.values():
            self.end_all(lost_worker.calls, outcome, now=now)
        self.lost_workers.clear()
        self.seats.clear()
        self.nodes.clear()
        self.cancel_waiting()

    def cancel_waiting(self) -> None:
        """Give back what no worker has got."""
        while self.waiting:
            self.waiting.popleft().future.set_result(Cancelled())

    def drain(self) -> None:
        """Begin nothing more."""
        self.is_draining = True
        self.cancel_waiting()
        for seat in self.seats.values():
            if seat.worker is not None:
                self.send(Call(next(self.numbers), seat.worker, "drain"))

    def sweep_late_parts(self, *, now: float) -> None:
        """Delete parts of attempts that are over."""
        due = self.late_parts.due(now)
        if due:
            self.aside(lambda: remove_parts(due), log_removed)

    # --- questions ------------------------------------------------------------------------------

    @property
    def depth(self) -> int:
        """Return how many tasks keep all workers busy."""
        return sum(seat.depth for seat in self.seats.values() if seat.word == "warm")

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in work."""
        return not (self.calls or self.waiting or self.judged or self.lost_workers)


def log_removed(removed: object) -> None:
    """Tell of parts of attempts that were over."""
    if isinstance(removed, Iterable):
        for part in removed:
            logger.info("removed %s, which an earlier attempt has left", part)


def pass_on(lines: Iterable[Line], seat: Seat) -> None:
    """Log what a worker has logged."""
    for line in lines:
        about = {**line.fields, **fields(seat)}
        text = f"{seat.node.name}: {line.message}"
        logging.getLogger(line.logger).log(line.level, "%s", text, extra=about)


def fields(seat: Seat) -> dict[str, str]:
    """Return the log fields of a worker."""
    return {"NODE": seat.node.name, "DEVICE": seat.device}
