"""The engine on a cluster: one thread keeps the crew, a process of its own speaks to Ray."""

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from daemon.clips import ClipProgress
from daemon.errors import Blame, InstallError, counted
from daemon.jobs import Cancelled, Failed, Outcome, Task
from daemon.worker.engines.cluster.access import Access
from daemon.worker.engines.cluster.calls import TaskCall
from daemon.worker.engines.cluster.crew import Crew
from daemon.worker.engines.cluster.driver import Driver, OnEvent
from daemon.worker.engines.cluster.keeper import Keeper
from daemon.worker.engines.cluster.messages import Command, Connected, Event, Lost
from daemon.worker.engines.cluster.node_checks import remove_canaries, write_canaries
from daemon.worker.engines.cluster.node_worker import Setup
from daemon.worker.engines.cluster.state import ClusterState
from daemon.worker.gauges import Load, Memory

logger = logging.getLogger(__name__)

TURN_S = 0.5
#: How long a start waits for the first worker; the daemon goes on without one after that.
START_S = 90.0
#: If nothing answers at the address, for so long.
ABSENCE_S = 10.0
#: How long `close` waits without seeing a task end.
CLOSE_S = 30.0
#: Threads that look at shares.
LOOKERS = 8

#: A worker that is cut off would go on writing to the segments of the next one.
NO_CLIPS = Failed(
    Blame.FILE,
    "a cluster cuts out pictures only (worker.engine: ray): clips need worker.engine: local; then"
    " `cvunetd retry` takes this one up again",
    is_final=True,
)

OpenDriver = Callable[[Access, OnEvent], Driver]


@dataclass(frozen=True, slots=True)
class Turn:
    """Message: do this in the keeper's thread."""

    act: Callable[[], object]


class ClusterEngine:
    """Runs tasks on the workers of a cluster; all methods may be called from any thread."""

    def __init__(
        self,
        access: Access,
        setup: Setup,
        open_driver: OpenDriver,
        *,
        silence_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``silence_s``: a worker that says nothing for so long is given up."""
        self.clock = clock
        self.mailbox: queue.SimpleQueue[Turn] = queue.SimpleQueue()
        self.lookers = ThreadPoolExecutor(LOOKERS, "share")
        self.crew = Crew(self.send, self.aside, clock)
        self.keeper = Keeper(
            self.crew,
            access,
            setup,
            open_driver=lambda: open_driver(access, self.hear),
            silence_s=silence_s,
        )
        self.is_closed = False
        self.turned_at = clock()
        self.state = ClusterState(access.address, "the cluster is being joined")
        self.capacity = 0
        self.thread = threading.Thread(None, self.run, "cluster", daemon=True)
        self.thread.start()

    # --- the thread -----------------------------------------------------------------------------

    def run(self) -> None:
        """Do what arrives, and what is due."""
        next_tick = 0.0
        self.lookers.submit(write_canaries, self.keeper.setup.request.written)
        while not self.is_closed:
            with suppress(queue.Empty):
                self.mailbox.get(timeout=TURN_S).act()
            now = self.turned_at = self.clock()
            if now >= next_tick:
                next_tick = now + TURN_S
                self.keeper.tick(now=now)
                self.publish(now)
            self.crew.assign(now=now)
            if self.capacity != self.crew.depth:
                self.capacity = self.crew.depth
                self.publish(now)
        self.crew.is_draining = True
        while not self.mailbox.empty():  # what has arrived since
            self.mailbox.get().act()
        self.keeper.close()
        self.lookers.submit(remove_canaries, self.keeper.setup.request.written)

    def publish(self, now: float) -> None:
        """Show others the state of the cluster."""
        self.state = self.keeper.state(now)

    def hear(self, driver: Driver, event: Event) -> None:
        """In the driver's thread: pass an event on."""
        self.mailbox.put(Turn(lambda: self.take(driver, event)))

    def take(self, driver: Driver, event: Event) -> None:
        """Act on an event; whether the cluster is there is shown at once."""
        now = self.clock()
        self.keeper.handle(driver, event, now=now)
        if isinstance(event, Connected | Lost):
            self.publish(now)

    def change_request(self, read: Iterable[Path], written: Iterable[Path]) -> None:
        """Have workers look at these folders; each has a canary where results go."""
        old = self.keeper.setup.request
        request = replace(old, read=tuple(sorted(set(read))), written=tuple(sorted(set(written))))
        self.keeper.setup = replace(self.keeper.setup, request=request)
        self.lookers.submit(remove_canaries, set(old.written) - set(request.written))
        self.lookers.submit(write_canaries, request.written)

    def send(self, command: Command) -> None:
        """Send a command to the cluster, if it is there."""
        self.keeper.send(command)

    def aside(self, look: Callable[[], object], then: Callable[[object], None]) -> None:
        """Look at a share in a thread of its own; it may hang."""

        def report(future: "Future[object]") -> None:
            error = future.exception()
            self.mailbox.put(Turn(lambda: then(future.result() if error is None else error)))

        self.lookers.submit(look).add_done_callback(report)

    # --- the interface of all engines -----------------------------------------------------------

    @property
    def device(self) -> str:
        """Return how many workers there are, for people."""
        nodes = [node for node in self.state.nodes if any(w.word == "warm" for w in node.workers)]
        kinds = {worker.device for node in nodes for worker in node.workers if worker.device}
        text = f"{counted(self.state.warm, 'worker')} on {counted(len(nodes), 'node')}"
        return text + (f" ({', '.join(sorted(kinds))})" if kinds else "")

    @property
    def depth(self) -> int:
        """Return how many tasks keep all workers busy; 0 while there is none."""
        return self.capacity

    @property
    def clip_depth(self) -> int:
        """Return 1, to refuse those that were taken when the engine was another one."""
        return 1

    @property
    def clips(self) -> dict[str, ClipProgress]:
        """Return nothing: no clip is in work."""
        return {}

    @property
    def cluster(self) -> ClusterState:
        """Return the nodes, and why nothing can be done now."""
        return self.state

    @property
    def memory(self) -> dict[str, Memory]:
        """Return the memory of each device, by node and device."""
        return {
            f"{name} {device}": held
            for name, report in self.keeper.reports
            for device, held in report.memory.items()
        }

    @property
    def load(self) -> dict[str, Load]:
        """Return the load of each device, by node and device."""
        found: dict[str, Load] = {}
        for name, report in self.keeper.reports:
            for device, load in report.load.items():
                key = f"{name} {device}"
                found[key] = found.get(key, Load()) + load
        return found

    @property
    def inside(self) -> dict[str, int]:
        """Return how many tasks are at each stage of all workers."""
        counts: Counter[str] = Counter()
        for _, report in self.keeper.reports:
            counts.update(report.inside)
        return dict(counts)

    @property
    def stages(self) -> dict[str, str]:
        """Return the stage of each task, as its worker has told it last."""
        return {
            job: stage for _, report in self.keeper.reports for job, stage in report.stages.items()
        }

    def use_folders(self, read: Iterable[Path], written: Iterable[Path]) -> None:
        """Have nodes see these folders, unless pictures travel through Ray."""
        if not self.keeper.access.carried_bytes:
            self.mailbox.put(Turn(lambda: self.change_request(read, written)))

    def submit(self, task: Task) -> "Future[Outcome]":
        """Start a task; its future always gets an outcome."""
        future: Future[Outcome] = Future()
        if self.is_closed:
            future.set_result(Cancelled())
            return future
        if task.clip is not None:
            future.set_result(NO_CLIPS)
            return future
        task_call = TaskCall(task, future)
        self.mailbox.put(Turn(lambda: self.crew.submit(task_call, now=self.clock())))
        return future

    def cancel(self, job_id: str) -> None:
        """Do nothing: it takes no clips, and pictures end by themselves."""

    def stalled(self, monotonic: float, *, patience_s: float) -> Iterable[str]:
        """Yield that our own thread hangs; workers that hang are replaced by it."""
        if not self.thread.is_alive():
            yield "thread cluster has ended"
        elif self.clock() - self.turned_at > patience_s:
            yield "thread cluster does not turn"

    def drain(self) -> None:
        """End tasks that no worker has begun as cancelled."""
        self.mailbox.put(Turn(self.crew.drain))

    def close(self) -> None:
        """Wait for running tasks while they get on, then leave the cluster."""
        left, deadline = -1, self.clock()
        while not (self.mailbox.empty() and self.crew.is_idle) and (
            (count := len(self.crew.calls) + len(self.crew.waiting)) != left
            or self.clock() < deadline
        ):
            if count != left:
                left, deadline = count, self.clock() + CLOSE_S
            time.sleep(TURN_S / 10)
        self.is_closed = True
        self.mailbox.put(Turn(lambda: None))
        self.thread.join()
        self.lookers.shutdown(wait=False)

    def wait_until_warm(self, on_step: Callable[[str], object]) -> None:
        """Return when a worker is warm, or when nothing is to be expected soon.

        `InstallError` if only a person can mend what keeps us out of the cluster.
        """
        began = self.clock()
        while not self.capacity and self.clock() - began < START_S:
            if self.keeper.is_lasting:
                reason = self.keeper.why_away
                self.close()
                raise InstallError(reason)
            is_absent = self.keeper.absent_since is not None
            if is_absent and self.clock() - began > ABSENCE_S:
                break
            on_step(f"waiting for the cluster: {self.state.trouble}")
            time.sleep(TURN_S)
        if not self.capacity:
            logger.warning("no worker is ready: %s; pictures wait for one", self.state.trouble)
