"""`make bench ARGS=--service`: what the service itself costs, without any network.

A real service with its ledger, hot folder and output folder, on one core; an engine of 64 actors
that answer when GPUs would, in another process (`benchmarks.actors`). Pictures a second, processor
time of a picture by part, and how both change with the number of pictures and of waiting files.
"""

import argparse
import cProfile
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.actors import ActorsEngine, Speed
from benchmarks.meter import OTHER, Meter, watch_service
from daemon.config.schema import Config
from daemon.messages import Stop
from daemon.reporting import journal
from daemon.service.assembly import assemble
from daemon.service.owned_folders import locked, owned_folders
from daemon.service.service import Clocks, Inbox, Service

PICTURE = b"\xff\xd8\xff\xe0" + b"x" * 2000


@dataclass(frozen=True, slots=True)
class Load:
    pictures: int
    wall_s: float
    cpu_s: float
    """Of the service's own thread."""
    engine_cpu_s: float
    """Of the threads that talk to the actors."""
    parts: dict[str, float]


def fill(hot: Path, count: int) -> None:
    hot.mkdir(parents=True)
    for number in range(count):
        with (hot / f"{number:06}.jpg").open("wb") as stream:
            stream.write(PICTURE + b"%d" % number)


def serve(base: Path, count: int, *, has_meter: bool, profile: Path | None, speed: Speed, queue_size: int) -> Load:
    config = Config.model_validate(
        {
            "folders": [{"path": "hot", "name": "hot"}],
            "retention": {"min_free_mb": 1},
            "worker": {"queue_size": queue_size},
        }
    )
    (base / "state").mkdir(exist_ok=True)
    engine = ActorsEngine(speed)
    inbox = Inbox()
    with locked(owned_folders(config, base)) as place:
        service = assemble(config, place, engine, inbox=inbox, clocks=Clocks(), is_watching=True)
        left = count

        def count_down() -> None:
            nonlocal left
            left -= 1
            if not left:
                inbox.put(Stop(0))

        service.on_end = count_down
        meter = Meter(time.perf_counter_ns if os.environ.get('WALL') else time.thread_time_ns)
        if has_meter:
            watch_service(service, meter)
        began, cpu, all_cpu = time.monotonic(), time.thread_time(), time.process_time()
        if profile:
            from pyinstrument import Profiler
            profiler = Profiler(interval=0.0005, use_timing_thread=True)
            profiler.start()
        service.run()
        if profile:
            profiler.stop()
            profile.write_text(profiler.output_text(show_all=True,timeline=False))
        wall_s, cpu_s = time.monotonic() - began, time.thread_time() - cpu
        all_s = time.process_time() - all_cpu
        meter.leave()
    return Load(count, wall_s, cpu_s, all_s - cpu_s, {k: v / 1e9 for k, v in meter.spent_ns.items()})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("base", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--meter", action="store_true")
    parser.add_argument("--profile", type=Path)
    parser.add_argument("--queue", type=int, default=64)
    parser.add_argument("--core", type=int)
    o = parser.parse_args()
    fill(o.base / "hot", o.count)
    with open(o.base / "log", "w") as log:
        logging.basicConfig(stream=log, level=logging.INFO, format=journal.PLAIN)
        load = serve(o.base, o.count, has_meter=o.meter, profile=o.profile, speed=Speed(), queue_size=o.queue)
    print(f"{load.pictures} wall {load.wall_s:.2f} s {load.pictures/load.wall_s:.0f}/s; cpu/picture {load.cpu_s/load.pictures*1e3:.3f} ms = {load.pictures/load.cpu_s:.0f}/s; engine threads {load.engine_cpu_s/load.pictures*1e3:.3f} ms")
    for k, v in sorted(load.parts.items(), key=lambda x: -x[1]):
        print(f"  {k:30} {v/load.pictures*1e3:.3f} ms")


if __name__ == "__main__":
    main()
