"""An engine of many actors that compute nothing: they answer when a GPU would, in another process.

Each actor writes a small part file and fsyncs it, as a worker does. The service sees what it sees
of a cluster: paths go out, outcomes come back from a thread.
"""

import heapq
import multiprocessing
import os
import queue
import random
import shutil
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from daemon.clips import ClipProgress
from daemon.disk import files
from daemon.errors import Blame
from daemon.jobs import Cancelled, Confidence, Done, Failed, Outcome, Task
from daemon.worker.gauges import Load, Memory

WRITERS = 16
"""Threads that write part files: they wait for the disk most of the time."""
PAUSE_S = 0.005
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
MEASURES = ("softness", "pieces", "holes", "border", "area", "contrast", "mirror")


@dataclass(frozen=True, slots=True)
class Speed:
    """What one actor does."""

    actors: int = 64
    pictures_s: float = 150.0
    """How many pictures a second one actor finishes: asked of an H100 with 16 cores, 1080p JPEG to
    PNG (`docs/speed.md`)."""
    latency_s: float = 0.1
    """From the task to its outcome: decoding, a batch's wait, the network, the finishing."""

    @property
    def depth(self) -> int:
        """How many tasks keep all actors busy."""
        return self.actors * max(round(self.pictures_s * self.latency_s), 1)


class ActorsEngine:
    """The engine as the service sees it."""

    def __init__(self, speed: Speed) -> None:
        """Starts the process of all actors."""
        self.speed = speed
        self.depth = speed.depth
        self.cluster = None
        self.clip_depth = 0
        self.clips: dict[str, ClipProgress] = {}
        self.device = f"{speed.actors} actors"
        self.memory: dict[str, Memory] = {}
        self.load: dict[str, Load] = {}
        self.stages: dict[str, str] = {}
        self.futures: dict[str, Future[Outcome]] = {}
        self.waiting: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        context = multiprocessing.get_context("spawn")  # no copy of our memory
        self.ours, theirs = context.Pipe()
        self.process = context.Process(target=act, args=(theirs, speed), daemon=True)
        self.process.start()
        theirs.close()
        self.threads = [
            threading.Thread(target=self.send, name="to-actors"),
            threading.Thread(target=self.receive, name="from-actors"),
        ]
        for thread in self.threads:
            thread.start()

    @property
    def inside(self) -> dict[str, int]:
        """How many tasks are with the actors."""
        return {"actors": len(self.futures)}

    def submit(self, task: Task) -> "Future[Outcome]":
        """Give a task to the next actor that is free."""
        future: Future[Outcome] = Future()
        self.futures[task.job_id] = future
        self.waiting.put(task)
        return future

    def send(self) -> None:
        """In a thread: what waits goes out together."""
        while True:
            tasks = [self.waiting.get()]
            while not self.waiting.empty():
                tasks.append(self.waiting.get())
            self.ours.send([task for task in tasks if task is not None])
            if None in tasks:
                self.ours.send(None)
                return

    def receive(self) -> None:
        """In a thread: outcomes, until the process of the actors ends."""
        while (outcomes := self.ours.recv()) is not None:
            for job_id, outcome in outcomes:
                self.futures.pop(job_id).set_result(outcome)

    def use_folders(self, read: Iterable[Path], written: Iterable[Path]) -> None:
        """Folders stay as they are."""

    def cancel(self, job_id: str) -> None:
        """There are no clips."""

    def stalled(self, monotonic: float, *, patience_s: float) -> Iterable[str]:
        """Actors of this kind always get on."""
        return ()

    def drain(self) -> None:
        """Tasks that are out come back soon."""

    def close(self) -> None:
        """End the process and both threads."""
        self.waiting.put(None)
        for thread in self.threads:
            thread.join()
        self.process.join()
        for future in self.futures.values():
            future.set_result(Cancelled())


def act(connection: Connection, speed: Speed) -> None:
    """The process of all actors: each finishes one picture after the other, in its time."""
    rng = random.Random(0)
    free_at = [0.0] * speed.actors  # a heap: the actor that is free first comes first
    due: queue.PriorityQueue[tuple[float, str, Task | None]] = queue.PriorityQueue()
    answers: queue.SimpleQueue[tuple[str, Outcome] | None] = queue.SimpleQueue()
    speaker = threading.Thread(target=speak, args=(connection, answers))
    speaker.start()
    clock = threading.Thread(target=write_in_time, args=(due, answers))
    clock.start()
    while (tasks := connection.recv()) is not None:
        now = time.monotonic()
        for task in tasks:
            work_s = rng.uniform(0.8, 1.2) / speed.pictures_s
            ends_at = max(free_at[0], now) + work_s
            heapq.heapreplace(free_at, ends_at)
            due.put((ends_at + max(speed.latency_s - work_s, 0.0), task.job_id, task))
    due.put((float("inf"), "", None))
    clock.join()
    answers.put(None)
    speaker.join()


def write_in_time(
    due: "queue.PriorityQueue[tuple[float, str, Task | None]]",
    answers: "queue.SimpleQueue[tuple[str, Outcome] | None]",
) -> None:
    """In a thread: start to write each result when it is due. Tasks come with growing times."""
    with ThreadPoolExecutor(WRITERS, "writer") as writers:
        while True:
            due_at, job_id, task = due.get()
            if task is None:
                return
            if (wait_s := due_at - time.monotonic()) > 0:
                time.sleep(min(wait_s, PAUSE_S))
                if wait_s > PAUSE_S:  # one that is due earlier may have come
                    due.put((due_at, job_id, task))
                    continue
            writers.submit(finish, task, answers)


def finish(task: Task, answers: "queue.SimpleQueue[tuple[str, Outcome] | None]") -> None:
    """In a thread: write one result, and say so."""
    answers.put((task.job_id, work(task)))


def work(task: Task) -> Outcome:
    """What a worker leaves on disk and says of it."""
    try:
        identity = files.identity(task.source)
        if identity is None:
            return Failed(Blame.UNKNOWN, "the original has vanished")
        with task.source.open("rb") as reader, files.create(task.part) as writer:
            shutil.copyfileobj(reader, writer)
            writer.flush()
            os.fsync(writer.fileno())
    except OSError as error:
        return Failed(Blame.MACHINE, str(error))
    confidence = Confidence(
        0.97, dict.fromkeys(MEASURES, 0.9), dict.fromkeys(MEASURES, 0.1), (), ()
    )
    return Done(
        identity,
        1920,
        1080,
        dict.fromkeys(("decode", "network", "judge", "finish", "encode"), 0.02),
        result_size=(1920, 1080),
        foreground=(100, 100, 900, 900),
        sha256=SHA256,
        weights=SHA256,
        settings=SHA256,
        confidence=confidence,
    )


def speak(connection: Connection, answers: "queue.SimpleQueue[tuple[str, Outcome] | None]") -> None:
    """In a thread: what has ended goes back together."""
    is_last = False
    while not is_last:
        ended = [answers.get()]
        while not answers.empty():
            ended.append(answers.get())
        is_last = None in ended
        connection.send([one for one in ended if one is not None])
    connection.send(None)
