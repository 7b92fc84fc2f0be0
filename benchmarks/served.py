"""One run of the service with an engine that computes nothing, in a process of its own.

`benchmarks.service` starts it: ``python -m benchmarks.served FOLDER --count 1000``. It prints what
it measured as one line of JSON.
"""

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from benchmarks.actors import ActorsEngine, Speed
from benchmarks.meter import OTHER, Meter, blocked_ns, delayed_ns, watch_service
from benchmarks.processes import BenchmarkError
from daemon.config.schema import Config
from daemon.jobs import Cancelled, Outcome, Task
from daemon.messages import Stop
from daemon.reporting import journal
from daemon.service.assembly import assemble
from daemon.service.owned_folders import locked, owned_folders
from daemon.service.service import Clocks, Inbox, Service
from daemon.worker.engines import Engine
from daemon.worker.engines.direct import DirectEngine

FIRST_BYTES = b"\xff\xd8\xff\xe0" + bytes(2000)
"""What every picture begins with; a number follows. No actor decodes it."""
TURNS = 200
SETTLE_S = 0.5
"""Of files that are to wait."""


@dataclass(frozen=True, slots=True)
class Served:
    """What one run took, from the start of the loop to its end."""

    pictures: int
    wall_s: float
    """Without the time in which files settle."""
    service_s: float
    """CPU seconds of the service's thread."""
    others_s: float
    """Of the threads beside it, which talk to the actors and wait for the disk."""
    delayed_s: float = 0.0
    """Of the service's thread: it could have run, but other programs had the core."""
    parts_s: dict[str, float] = field(default_factory=dict)
    """Of the service's thread, by part; empty without a meter."""

    @property
    def cpu_s(self) -> float:
        """CPU seconds of the whole process."""
        return self.service_s + self.others_s

    @property
    def undisturbed_s(self) -> float:
        """By the clock, without what other programs had of the core."""
        return self.wall_s - self.delayed_s

    @property
    def waits_s(self) -> float:
        """Of the service's thread: for the disk, a lock, or actors that have not finished."""
        return max(self.undisturbed_s - self.service_s, 0.0)


def fill(hot: Path, count: int) -> None:
    """Put pictures into a hot folder, each with bytes of its own."""
    hot.mkdir(parents=True)
    for number in range(count):
        (hot / f"{number:06}.jpg").write_bytes(FIRST_BYTES + b"%d" % number)


def configured(queue_size: int, settle_s: float) -> Config:
    """The settings of all runs."""
    return Config.model_validate(
        {
            "folders": [{"path": "hot", "name": "hot", "settle_s": settle_s}],
            "retention": {"min_free_mb": 1},
            "worker": {"queue_size": queue_size},
        }
    )


def serve(base: Path, options: argparse.Namespace) -> Served:
    """Cut all pictures of the hot folder out, as far as the service sees it."""
    fill(base / "hot", options.count)
    speed = Speed(options.actors, options.rate, options.latency)
    engine = ActorsEngine(speed)  # before we keep to one core: the actors have the others
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})
    inbox, meter = Inbox(), Meter(blocked_ns if options.waits else time.thread_time_ns)
    config = configured(options.queue, options.settle)
    (base / "state").mkdir()
    with locked(owned_folders(config, base)) as place:
        service = assemble(config, place, engine, inbox=inbox, clocks=Clocks(), is_watching=True)
        stop_after(service, inbox, options.count)
        if options.meter or options.waits:
            watch_service(service, meter)
        found = timed(service, options.settle)
    if found.pictures < options.count:
        raise BenchmarkError(f"{found.pictures} of {options.count} pictures were done")
    parts_s = meter.seconds
    if options.waits:
        parts_s[OTHER] -= options.settle
    return replace(found, parts_s=parts_s)


def timed(service: Service, settle_s: float) -> Served:
    """Run the loop to its end; how many pictures were done, and in which time."""
    delayed, began = delayed_ns(), time.monotonic()
    thread_s, process_s = time.thread_time(), time.process_time()
    service.run()
    wall_s = time.monotonic() - began - settle_s
    service_s = time.thread_time() - thread_s
    others_s = time.process_time() - process_s - service_s
    delayed_s = (delayed_ns() - delayed) / 1e9
    return Served(service.parts.counters.done, wall_s, service_s, others_s, delayed_s)


def stop_after(service: Service, inbox: Inbox, count: int) -> None:
    """Stop when so many pictures have ended."""
    left = iter(range(count - 1, -1, -1))

    def count_down() -> None:
        if not next(left):
            inbox.put(Stop(0))

    service.on_end = count_down


def wait(base: Path, options: argparse.Namespace) -> Served:
    """Turn the loop while all files wait: the queue is full, and the engine does not answer."""
    fill(base / "hot", options.count)
    config = configured(4, SETTLE_S)
    (base / "state").mkdir()

    def never(task: Task) -> Outcome:
        return Cancelled()

    engine: Engine = DirectEngine(never, is_held=True)
    with locked(owned_folders(config, base)) as place:
        service = assemble(config, place, engine, inbox=Inbox(), clocks=Clocks(), is_watching=True)
        service.startup()
        for _ in range(4):
            time.sleep(SETTLE_S)
            service.tick(0.0)
        began, thread_s = time.monotonic(), time.thread_time()
        for _ in range(TURNS):
            service.tick(0.0)
        wall_s, service_s = time.monotonic() - began, time.thread_time() - thread_s
        service.parts.watch_health.stop()
        service.parts.ledger.close()
    return Served(TURNS, wall_s, service_s, 0.0)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Command line to settings."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.served", description=__doc__)
    speed = Speed()
    parser.add_argument("base", type=Path, help="an empty folder")
    parser.add_argument("--count", type=int, default=1000, help="pictures in the hot folder")
    parser.add_argument("--queue", type=int, default=64, help="worker.queue_size")
    parser.add_argument("--settle", type=float, default=2.0, help="settle_s of the hot folder")
    parser.add_argument("--actors", type=int, default=speed.actors)
    parser.add_argument("--rate", type=float, default=speed.pictures_s, help="of one actor")
    parser.add_argument("--latency", type=float, default=speed.latency_s, help="of one picture")
    parser.add_argument("--core", type=int, help="keep the service to this core")
    parser.add_argument("--meter", action="store_true", help="CPU seconds by part")
    parser.add_argument("--waits", action="store_true", help="seconds of waiting by part instead")
    parser.add_argument("--wait", action="store_true", help="only turn the loop; nothing is done")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure once; exit status 1 if not all pictures were done."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    options.base.mkdir(parents=True, exist_ok=True)
    with (options.base / "log").open("w", encoding="utf-8") as log:
        logging.basicConfig(stream=log, level=logging.INFO, format=journal.PLAIN)
        try:
            found = (wait if options.wait else serve)(options.base, options)
        except BenchmarkError as error:
            print(error, file=sys.stderr)
            return 1
    print(json.dumps(asdict(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
