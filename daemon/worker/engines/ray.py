"""The process that speaks to Ray for the daemon. The only importer of ray.

It is a process of its own because Ray ends the process that uses it when the cluster's head is
gone, writes to standard error as it likes, and cannot be shut down and begun anew without rest.
`daemon.worker.engines.cluster.driver` starts it; they speak over a socket.
"""

import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from daemon.errors import DaemonError, describe
from daemon.jobs import Task
from daemon.worker.engines.cluster import crashes, payloads, wording
from daemon.worker.engines.cluster.access import (
    RESOURCE,
    Access,
    arguments,
    set_environment,
    why_unreachable,
)
from daemon.worker.engines.cluster.judging import Nonsense, NotCarried, Reply
from daemon.worker.engines.cluster.messages import (
    Answered,
    Broken,
    Call,
    Command,
    Connected,
    Event,
    Inquire,
    Kill,
    Lost,
    Node,
    Run,
    Seen,
    Start,
    Visit,
)
from daemon.worker.engines.cluster.node_checks import inspect_node
from daemon.worker.engines.cluster.payloads import Payload
from daemon.worker.engines.cluster.shapes import fits
from daemon.worker.engines.cluster.wording import SHORT_OF_MEMORY, in_words, shorten

LOOK_S = 1.0
#: Threads that read and write pictures which travel through Ray.
CARRIERS = 4
INSTALL = "install it: pip install 'cvunet-daemon[ray]'"


class RayDriver:
    """Does what the engine commands, and tells what happens."""

    def __init__(self, connection: "Connection[Event, Command]", access: Access) -> None:
        self.connection = connection
        self.access = access
        self.sending = threading.Lock()
        self.workers: dict[int, Any] = {}  # Any: handles of Ray's
        self.carriers = ThreadPoolExecutor(CARRIERS, "carry")
        self.refs: dict[int, Any] = {}  # Any: references of Ray's; without them answers are lost

    def serve(self) -> None:
        """Obey until the engine closes its end."""
        import ray

        self.tell(Connected())
        threading.Thread(None, self.look_around, "nodes", daemon=True).start()
        try:
            while True:
                self.obey(self.connection.recv())
        except EOFError:
            ray.shutdown()

    def tell(self, event: Event) -> None:
        """Send one event; several threads have some."""
        with self.sending:
            self.connection.send(event)

    def look_around(self) -> None:
        """Tell every second which nodes there are; while the head is away, Ray does not return."""
        import ray

        while True:
            try:
                found = ray.nodes()  # type: ignore[no-untyped-call]
                self.tell(Seen(tuple(self.node_of(one) for one in found if one["Alive"])))
            except OSError:  # the engine has closed its end
                return
            time.sleep(LOOK_S)

    def node_of(self, found: dict[str, Any]) -> Node:  # Any: Ray's table
        """Return a node in our words."""
        resources = found["Resources"]
        # Without one of another name, its GPUs are another daemon's.
        default = None if self.access.resource == RESOURCE else 0
        shares = resources.get(self.access.resource, default)
        return Node(
            id=found["NodeID"],
            name=str(found["NodeManagerHostname"]),
            address=str(found["NodeManagerAddress"]),
            gpus=int(resources.get("GPU", 0)),
            shares=None if shares is None else int(shares),
        )

    def obey(self, command: Command) -> None:  # noqa: C901  # a table of commands
        """Do one thing; what it leads to is told later."""
        match command:
            case Start():
                self.start(command)
            case Call(call, worker, method, arguments):
                handle = self.workers.get(worker)
                if handle is None:
                    self.tell(Broken(call, "the worker was ended"))
                else:
                    self.await_answer(call, getattr(handle, method).remote(*arguments))
            case Run(call, worker, task) if self.access.carried_bytes and worker in self.workers:
                self.aside(self.carry, call, self.workers[worker], task)
            case Run(call, worker, task):
                self.obey(Call(call, worker, "run", (task,)))
            case Visit(call, node, request):
                own = {"name": node.name, "address": node.address, "has_gpu": node.gpus_of_seat > 0}
                self.ask_node(call, node.id, inspect_node, request, **own)
            case Inquire(call, node, note):
                self.ask_node(call, node, crashes.find, note)
            case Kill(worker):
                self.kill(worker)

    def start(self, start: Start) -> None:
        """Ask Ray for a worker on its node. It is never restarted by Ray: that would hide its end
        from the engine, and its tasks would wait for a node that may not come back.
        """
        import ray

        from daemon.worker.engines.cluster.node_worker import NodeWorker

        options: dict[str, Any] = {  # Any: options of Ray's
            "num_cpus": 0,
            "num_gpus": start.gpus,
            "max_restarts": 0,
            "max_task_retries": 0,
            "enable_task_events": False,  # else the head keeps a record of each call in memory
            "scheduling_strategy": on_node(start.node),
        }
        if start.is_share:
            options["resources"] = {self.access.resource: 1}
        self.workers[start.worker] = ray.remote(NodeWorker).options(**options).remote(start.setup)

    def ask_node(
        self, call: int, node: str, look: Callable[..., object], *about: object, **more: object
    ) -> None:
        """Look at something on a node, by a task of its own."""
        import ray

        task: Any = ray.remote(look)  # Any: Ray's types know no named arguments
        there = task.options(num_cpus=0, max_retries=0, scheduling_strategy=on_node(node))
        self.await_answer(call, there.remote(*about, **more))

    def aside(self, work: Callable[..., None], call: int, *arguments: object) -> None:
        """Do a part of a call in a thread of its own. An exception is an answer, too."""

        def guarded() -> None:
            try:
                work(call, *arguments)
            except Exception as error:  # noqa: BLE001  # Ray's are of many kinds
                self.refs.pop(call, None)
                with suppress(OSError):  # as in `settle`
                    self.tell(Broken(call, shorten(describe(error)), is_death=False))

        self.carriers.submit(guarded)

    def carry(self, call: int, worker: Any, task: Task) -> None:  # Any: a handle of Ray's
        """Send a picture with its task; a large one lies on the share."""
        try:
            payload = payloads.pack(task, max_bytes=self.access.carried_bytes)
        except (OSError, DaemonError) as error:
            self.tell(Answered(call, payloads.not_packed(task, error)))
            return
        ref = worker.run.remote(task) if payload is None else worker.run_payload.remote(payload)
        self.refs[call] = ref
        ref.future().add_done_callback(
            lambda future: self.aside(self.unpack, call, payload, future)
        )

    def unpack(self, call: int, payload: Payload | None, future: "Future[Any]") -> None:
        """Write the results that came back, then tell the answer. ``future``: of Ray's."""
        from daemon.worker.engines.cluster.node_worker import Answer, Carried

        self.refs.pop(call, None)
        event = event_of(call, future, Answer if payload is None else Carried)
        if isinstance(event, Answered) and not isinstance(event.value, Nonsense):
            value = event.value
            if payload is not None:
                event = Answered(call, payloads.written(payload, *value))
            elif isinstance(value, Reply):
                event = Answered(call, NotCarried(value, self.access.carried_bytes))
        self.tell(event)

    def kill(self, worker: int) -> None:
        """End a worker; it may be gone already."""
        import ray

        handle = self.workers.pop(worker, None)
        if handle is not None:
            ray.kill(handle, no_restart=True)

    def await_answer(self, call: int, ref: Any) -> None:  # Any: a reference of Ray's
        """Tell when a call has returned."""
        self.refs[call] = ref
        ref.future().add_done_callback(partial(self.settle, call))

    def settle(self, call: int, future: "Future[Any]") -> None:  # Any: what a worker returns
        """In some thread of Ray's: tell the answer, or why there is none."""
        from daemon.worker.engines.cluster.node_worker import Answer

        self.refs.pop(call, None)
        with suppress(OSError):  # the engine has closed its end, and waits for no answer
            self.tell(event_of(call, future, Answer))


def event_of(call: int, future: "Future[Any]", kind: Any) -> Answered | Broken:  # Any: as above
    """Return what has come of a call. ``kind``: what may be answered.

    Nothing else is passed on: it may be something that cannot be sent, and the engine would wait.
    """
    error = future.exception()
    if error is not None:
        return broken(call, error)
    value = future.result()
    return Answered(call, value if fits(value, kind) else Nonsense(shorten(str(value))))


def on_node(node: str) -> Any:  # Any: Ray's
    """Return that something must run on one node and on no other."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node, soft=False)


def broken(call: int, error: BaseException) -> Answered | Broken:
    """Return why a call has no answer, in few words."""
    from ray.exceptions import RaySystemError, RayTaskError

    if isinstance(error, RaySystemError):  # its answer cannot be read here: it knows other classes
        return Answered(call, Nonsense(shorten(str(error))))
    if isinstance(error, RayTaskError):
        error = error.cause if isinstance(error.cause, BaseException) else error
        return Broken(call, shorten(describe(error)), is_death=False)
    return Broken(call, in_words(str(error)), is_machines=SHORT_OF_MEMORY in str(error))


# --- the connection ------------------------------------------------------------------------------


def connect(access: Access, temp_dir: str) -> Lost | None:
    """Join the cluster as its driver; return why that cannot be."""
    set_environment(access)
    try:
        import ray
    except ImportError as error:
        return Lost(f"worker.engine is ray, and ray is missing ({error}): {INSTALL}", True)
    from ray.exceptions import AuthenticationError

    if reason := why_unreachable(access.address):
        return Lost(reason)
    try:
        ray.init(**arguments(access, temp_dir))
    except AuthenticationError as error:
        return Lost(f"no token for the cluster at {access.address}: {shorten(str(error))}", True)
    except Exception as error:  # noqa: BLE001  # of many kinds; their words say what is wrong
        text = describe(error)
        is_lasting = "mismatch" in text.lower()  # of Ray's or Python's version
        return Lost(f"the cluster at {access.address} {wording.why_not_joined(text)}", is_lasting)
    return None


def main() -> None:
    """Serve the engine.

    The first argument is the number of the file that is our end of the socket, the second one a
    folder for a cluster of our own, which the engine removes.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the daemon ends us when it is through
    connection: Connection[Any, Any] = Connection(int(sys.argv[1]))  # Any: commands and events
    access = connection.recv()
    lost = connect(access, sys.argv[2])
    if lost is not None:
        connection.send(lost)
        return
    RayDriver(connection, access).serve()


if __name__ == "__main__":
    main()
