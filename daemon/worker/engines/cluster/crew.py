"""Which worker gets which picture, and what follows when one is lost. One thread calls it.

It waits for nothing: commands go to the cluster, what comes of them arrives as events, and whatever
may wait for a disk is handed to `Crew.aside`.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import count

from daemon.jobs import Cancelled, Done, Outcome, Task
from daemon.worker.engines.cluster import judging
from daemon.worker.engines.cluster.judging import Verdict
from daemon.worker.engines.cluster.messages import (
    Answered,
    Broken,
    Call,
    Command,
    Kill,
    Node,
    Run,
)
from daemon.worker.engines.cluster.seats import Seat
from daemon.worker.engines.cluster.strays import Strays, remove_parts

logger = logging.getLogger(__name__)

#: One that owes a report for so long gets no more pictures until it has answered.
QUIET_S = 6.0
#: Runs a function beside, then gives what it returns to another one in the crew's thread.
Aside = Callable[[Callable[[], object], Callable[[object], None]], None]


@dataclass(slots=True, eq=False)
class Errand:
    """A task that waits for a worker or is with one."""

    task: Task
    future: "Future[Outcome]"
    seat: Seat | None = None


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
        self.errands: dict[int, Errand] = {}
        """By the number of their call."""
        self.judged = 0
        """Answers that are looked at aside."""
        self.waiting: deque[Errand] = deque()
        self.strays = Strays()
        self.is_draining = False

    # --- tasks ----------------------------------------------------------------------------------

    def submit(self, errand: Errand, *, now: float) -> None:
        """Give a task to a worker, or keep it until one has room."""
        if self.is_draining:
            errand.future.set_result(Cancelled())
            return
        self.waiting.append(errand)
        self.assign(now=now)

    def assign(self, *, now: float) -> None:
        """Give waiting tasks to workers, in their order; suspects run alone."""
        suspects = [errand for errand in self.waiting if errand.task.is_suspect]
        others = deque(errand for errand in self.waiting if not errand.task.is_suspect)
        left = [one for one in suspects if not self.place(one, now=now)]
        if not left:
            for seat in self.seats.values():
                seat.is_reserved = False
        while others and self.place(others[0], now=now):
            others.popleft()
        self.waiting = deque(left) + others

    def place(self, errand: Errand, *, now: float) -> bool:
        """Give a task to a worker, if one takes it now."""
        seat = self.seat_for(errand.task.is_suspect, now=now)
        if seat is not None:
            self.give(seat, errand)
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

    def give(self, seat: Seat, errand: Errand) -> None:
        """Send a task to a worker."""
        assert seat.worker is not None
        call = next(self.numbers)
        errand.seat = seat
        seat.running.add(call)
        seat.is_alone = errand.task.is_suspect
        seat.is_reserved = False
        self.errands[call] = errand
        self.send(Run(call, seat.worker, errand.task))

    def answer(self, event: Answered | Broken, *, now: float) -> bool:
        """A call has ended; False if it ran no task that is still wanted."""
        errand = self.errands.pop(event.call, None)
        if errand is None or errand.seat is None:
            return False
        seat = errand.seat
        seat.running.discard(event.call)
        seat.is_alone = False
        if isinstance(event, Broken):
            if event.is_death:
                self.lose(seat, event.reason, now=now, is_blamed=not event.is_machines)
            else:
                self.doubt(seat, event.reason, now=now)
            lost = judging.lost(f"{seat.label}: {event.reason}")
            self.end(errand, Cancelled() if event.is_machines else lost, now=now)
            return True
        self.judged += 1
        worker = seat.worker
        look = partial(judging.judge, errand.task, event.value)
        self.aside(look, lambda verdict: self.conclude(errand, seat, worker, verdict))
        return True

    def conclude(self, errand: Errand, seat: Seat, worker: int | None, verdict: object) -> None:
        """The answer was looked at."""
        self.judged -= 1
        now = self.clock()
        if not isinstance(verdict, Verdict):
            verdict = Verdict(judging.lost(f"the share does not answer: {verdict}"))
        if isinstance(verdict.outcome, Done):
            seat.count_done(now)
        if verdict.fault and seat.worker == worker and worker is not None:
            if verdict.is_fatal:
                self.lose(seat, verdict.fault, now=now, is_blamed=False)
            else:
                self.doubt(seat, verdict.fault, now=now)
        self.end(errand, verdict.outcome, now=now, is_stray=bool(verdict.fault))

    def end(self, errand: Errand, outcome: Outcome, *, now: float, is_stray: bool = True) -> None:
        """Give a task its outcome, once."""
        if is_stray and not isinstance(outcome, Done):
            self.strays.add([errand.task], now=now)
        errand.future.set_result(outcome)

    # --- workers --------------------------------------------------------------------------------

    def lose(self, seat: Seat, why: str, *, now: float, is_blamed: bool = True) -> None:
        """A worker is gone or is ended; its tasks go to others.

        ``is_blamed``: they count an attempt each, because one of them may be the cause.
        """
        log = logger.info if seat.word == "lost" else logger.warning
        log("%s: its worker is lost: %s", seat.label, why, extra=fields(seat))
        if seat.worker is not None:
            self.send(Kill(seat.worker))
        lost = self.taken_from(seat)
        seat.vacate(why, now=now)
        for errand in lost:
            failed = judging.lost(f"{seat.label}: {why}")
            self.end(errand, failed if is_blamed else Cancelled(), now=now)

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

    def taken_from(self, seat: Seat) -> list[Errand]:
        """Return the errands of a seat, which has them no more."""
        return [self.errands.pop(call) for call in list(seat.running) if call in self.errands]

    def lose_all(self, why: str, *, now: float, is_blamed: bool) -> None:
        """The cluster is away; everything in it may still go on for a while."""
        for seat in list(self.seats.values()):
            lost = self.taken_from(seat)
            for errand in lost:
                self.end(errand, judging.lost(why) if is_blamed else Cancelled(), now=now)
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

    def sweep_strays(self, *, now: float) -> None:
        """Delete parts of attempts that are over."""
        due = self.strays.due(now)
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
        return not self.errands and not self.waiting and not self.judged


def log_removed(removed: object) -> None:
    """Tell of parts of attempts that were over."""
    if isinstance(removed, Iterable):
        for part in removed:
            logger.info("removed %s, which an earlier attempt has left", part)


def fields(seat: Seat) -> dict[str, str]:
    """Return the log fields of a worker."""
    return {"NODE": seat.node.name, "DEVICE": seat.device}
