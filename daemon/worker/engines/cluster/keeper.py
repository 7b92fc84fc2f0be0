"""Keeps the seats of a cluster as its nodes come and go, and the connection to it."""

import logging
import pickle
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace

from daemon.errors import counted, describe
from daemon.worker.engines.cluster.access import Access
from daemon.worker.engines.cluster.calls import Question
from daemon.worker.engines.cluster.crew import Crew, fields, pass_on
from daemon.worker.engines.cluster.driver import Driver
from daemon.worker.engines.cluster.lost_workers import End
from daemon.worker.engines.cluster.messages import (
    Answered,
    Broken,
    Call,
    Command,
    Connected,
    Event,
    Lost,
    Node,
    Seen,
    Start,
)
from daemon.worker.engines.cluster.node_checks import NodeFacts, compare
from daemon.worker.engines.cluster.node_worker import Hello, Report, Setup
from daemon.worker.engines.cluster.seats import Seat, node_states, why_none
from daemon.worker.engines.cluster.state import ClusterState

logger = logging.getLogger(__name__)

REPORT_S = 2.0
RECONNECT_S = 3.0
#: Without a word about nodes for so long, the head counts as gone.
HEAD_S = 20.0
#: How long a worker may take to start and to load its models.
WARM_S = 600.0
#: A look at a share may hang, and holds a thread there: the next one comes after so long.
HANG_S = 60.0
#: So long the only worker may be replaced before folders stand by.
GRACE_S = 20.0


class Keeper:
    """One thread calls it, the crew's."""

    def __init__(
        self,
        crew: Crew,
        access: Access,
        setup: Setup,
        *,
        open_driver: Callable[[], Driver],
        silence_s: float,
    ) -> None:
        self.crew = crew
        self.access = access
        self.setup = setup
        self.open_driver = open_driver
        self.silence_s = silence_s
        self.driver: Driver | None = None
        self.is_connected = False
        self.why_away = "the cluster is being joined"
        self.is_lasting = False
        """Only a person can mend what keeps us out of the cluster."""
        self.absent_since: float | None = None
        self.warm_at = float("-inf")
        self.next_connect = 0.0
        self.seen_at = 0.0
        self.life = uuid.uuid4().hex
        """Tells our workers from those of other daemons and of earlier lives."""
        self.questions: dict[int, Question] = {}
        self.reports: tuple[tuple[str, Report], ...] = ()
        """By name of the node; replaced, never changed: other threads read it."""

    # --- the connection -------------------------------------------------------------------------

    def send(self, command: Command) -> None:
        """Pass a command on, if there is a way."""
        if self.driver is not None:
            self.driver.send(command)

    def handle(self, driver: Driver, event: Event, *, now: float) -> None:
        """Act on an event; one of an earlier connection says nothing any more."""
        if driver is not self.driver:
            return
        match event:
            case Connected():
                self.is_connected, self.is_lasting = True, False
                self.absent_since, self.seen_at = None, now
                logger.info("the cluster at %s is joined", self.access.address)
            case Lost():
                self.lose(event, now=now)
            case Seen(nodes):
                self.seen_at = now
                self.follow(nodes, now=now)
            case Answered() | Broken():
                if not self.crew.answer(event, now=now):
                    self.take_reply(event, now=now)

    def connect(self, *, now: float) -> None:
        """Start the process that speaks to Ray; the machine may have no room for it now."""
        try:
            self.driver = self.open_driver()
        except OSError as error:
            reason = f"the process that speaks to Ray cannot be started: {describe(error)}"
            self.lose(Lost(reason), now=now)

    def lose(self, lost: Lost, *, now: float) -> None:
        """The cluster is away: what is in work is given back, and we try again."""
        if self.is_connected or lost.reason != self.why_away:
            logger.warning("the cluster is away: %s; trying again", lost.reason)
        if self.driver is not None:
            self.driver.close()
        self.driver, self.is_connected = None, False
        self.why_away, self.is_lasting = lost.reason, lost.is_lasting
        self.absent_since = now if self.absent_since is None else self.absent_since
        self.next_connect = now + RECONNECT_S
        self.questions.clear()
        self.warm_at = float("-inf")
        # A cluster of our own runs on this machine only: a picture may take its memory.
        self.crew.lose_all(lost.reason, now=now, is_counted=self.access.is_private)

    def close(self) -> None:
        """Leave the cluster; workers end with the connection."""
        if self.driver is not None:
            self.driver.close()
            self.driver = None
        self.crew.lose_all("stopping", now=self.crew.clock(), is_counted=False)

    # --- nodes and seats ------------------------------------------------------------------------

    def follow(self, nodes: Iterable[Node], *, now: float) -> None:
        """Have a seat for each worker that the nodes can have."""
        known = self.crew.nodes
        found = {node.id: node for node in nodes}
        for name, node in found.items():
            if name not in known:
                text = "node %s (%s) has joined: it has room for %s"
                room = counted(node.seats, "worker")
                logger.info(text, node.name, node.address, room, extra={"NODE": node.name})
        self.crew.nodes = found
        wanted = {(node.id, index): node for node in found.values() for index in range(node.seats)}
        for key in [key for key in self.crew.seats if key not in wanted]:
            seat = self.crew.seats[key]
            text = "its node has left the cluster, or is cut off"
            self.crew.lose(seat, text, now=now, end=End.TAKEN)
            del self.crew.seats[key]
        for (name, index), node in wanted.items():
            seat = self.crew.seats.setdefault((name, index), Seat(node, index))
            seat.node = node

    def tick(self, *, now: float) -> None:
        """Do what is due."""
        if self.driver is None:
            if now >= self.next_connect:
                self.connect(now=now)
            return
        if self.is_connected and now - self.seen_at > HEAD_S:
            self.lose(Lost(f"the head at {self.access.address} does not answer"), now=now)
            return
        for seat in list(self.crew.seats.values()):
            self.keep(seat, now=now)
        self.crew.settle_late_losses(now=now)
        self.crew.sweep_late_parts(now=now)
        self.reports = tuple(
            (seat.node.name, seat.report)
            for seat in self.crew.seats.values()
            if seat.report is not None
        )

    def keep(self, seat: Seat, *, now: float) -> None:
        """Do what is due for one seat."""
        if seat.worker is None:
            if now >= seat.not_before and not self.crew.is_draining:
                self.start(seat, now=now)
        elif seat.word == "starting":
            if now - seat.since > WARM_S:
                self.crew.lose(seat, f"it was not warm after {WARM_S:.0f} s", now=now)
        elif seat.is_silent(now, self.silence_s):
            text = f"it has not answered for {self.silence_s:.0f} s"
            self.crew.lose(seat, text, now=now, end=End.SILENT)
        elif seat.word == "off" and now >= seat.not_before:
            seat.not_before = now + HANG_S
            self.ask(seat, "inspect_node")
        elif seat.asked_at is None and now - seat.heard_at > REPORT_S:
            seat.asked_at = now
            self.ask(seat, "report")

    def start(self, seat: Seat, *, now: float) -> None:
        """Ask for a worker; first it looks around, then it loads its models."""
        seat.worker = next(self.crew.numbers)
        seat.crash_note = f"{self.life}-{seat.worker}"
        seat.restarts += seat.since > 0.0
        seat.set("starting", "it is being started", now=now)
        node = seat.node
        setup = replace(
            self.setup,
            name=node.name,
            address=node.address,
            share=seat.share(self.setup.request.served),
            has_gpu=node.gpus_of_seat > 0,
            crash_note=seat.crash_note,
        )
        has_share = node.shares is not None
        packed = pickle.dumps(setup)
        self.send(Start(seat.worker, node.id, node.gpus_of_seat, has_share, packed))
        self.ask(seat, "inspect_node")

    def ask(self, seat: Seat, method: str) -> None:
        """Call a method that runs no task."""
        assert seat.worker is not None
        call = next(self.crew.numbers)
        request = self.setup.request
        self.questions[call] = Question(seat, seat.worker, time.time(), request)
        self.send(Call(call, seat.worker, method, (request,) if method == "inspect_node" else ()))

    def take_reply(self, event: Answered | Broken, *, now: float) -> None:
        """A worker has said something; nobody waits for what an earlier one of its seat says."""
        question = self.questions.pop(event.call, None)
        if question is None or question.seat.worker != question.worker:
            return
        seat = question.seat
        if isinstance(event, Broken):
            self.crew.lose(seat, event.reason, now=now)
            return
        match event.value:
            case NodeFacts() as facts:
                self.compare(seat, facts, question)
            case Hello(device, depth):
                seat.device, seat.depth = device, max(depth, 1)
                seat.set("warm", "", now=now)
                seat.heard_at = now
                logger.info("%s is warm on %s", seat.label, device, extra=fields(seat))
            case Report() as report:
                self.note_report(seat, report, now=now)
            case None:
                pass
            case nonsense:
                text = f"it says nonsense: {str(nonsense)[:100]!r}"
                self.crew.lose(seat, text, now=now, end=End.UNFIT)

    # --- what workers say -----------------------------------------------------------------------

    def compare(self, seat: Seat, facts: NodeFacts, question: Question) -> None:
        """A worker has looked around: it is used only if it sees what we see."""
        answered_at, worker = time.time(), seat.worker

        def conclude(found: object) -> None:
            if seat.worker != worker:
                return
            if found != "":  # differences, or an exception: ours cannot be seen
                self.crew.switch_off(seat, str(found), now=self.crew.clock())
            elif seat.depth:
                seat.set("warm", "", now=self.crew.clock())
                logger.warning("%s is used again", seat.label, extra=fields(seat))
            else:
                seat.set("starting", "its models are being loaded", now=self.crew.clock())
                self.ask(seat, "open")

        at = (question.asked_at, answered_at)
        self.crew.aside(lambda: compare(question.request, facts, at=at), conclude)

    def note_report(self, seat: Seat, report: Report, *, now: float) -> None:
        """A worker has told how it gets on, and what it has logged."""
        seat.heard_at, seat.asked_at, seat.report = now, None, report
        if seat.word == "warm":
            seat.depth = max(report.depth, 1)
        pass_on(report.lines, seat)
        if report.stalled:
            text = f"it makes no progress: {'; '.join(report.stalled)}"
            self.crew.lose(seat, text, now=now, end=End.HUNG)

    # --- for people -----------------------------------------------------------------------------

    def state(self, now: float) -> ClusterState:
        """Return the state of the cluster."""
        crew, resource = self.crew, self.access.resource
        nodes = node_states(crew.nodes.values(), crew.seats.values(), resource=resource, now=now)
        return ClusterState(self.access.address, self.trouble(now), nodes)

    def trouble(self, now: float) -> str:
        """Return why nothing can be cut out now; empty if something can."""
        if not self.is_connected:
            return self.why_away
        seats = list(self.crew.seats.values())
        if any(seat.word == "warm" for seat in seats):
            self.warm_at = now
        if now - self.warm_at < GRACE_S:
            return ""  # the next worker is on its way: what was taken waits in the queue
        if not seats:
            return why_none(self.access.resource)
        return "; ".join(dict.fromkeys(f"{seat.label}: {seat.why}" for seat in seats))
