"""The decoder that decodes in child processes: as many as are needed, one a thread at most."""

import logging
import queue
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from daemon.backoff import doubled_s
from daemon.errors import InstallError, MachineError, describe
from daemon.jobs import Task
from daemon.worker.children.picture import ChildsDecoding
from daemon.worker.children.process import DecodeChild, Ended, TookTooLong, name_of_signal
from daemon.worker.decoding import Abandoned

logger = logging.getLogger(__name__)

#: After a failed start the next one waits 1, 2, 4 … seconds, at most so many.
MOST_WAIT_S = 60.0
#: A child is not replaced sooner than that after its start: a flood of bombs is no flood of starts.
LEAST_LIFE_S = 1.0
#: A picture waits so long for a child that is busy before another one is started. For usual photos
#: one child is enough for several cores; each has 45 MB for itself.
PATIENCE_S = 0.25
#: What is being decoded when the daemon is told to stop may take so long.
DRAIN_S = 5.0


class Place:
    """Where a child is, or will be."""

    def __init__(self) -> None:
        self.child: DecodeChild | None = None
        self.started_at = float("-inf")
        """Monotonic, like the next one."""
        self.not_before = 0.0
        self.failures = 0
        """Starts in a row that came to nothing."""
        self.reason = ""


class IdlePlaces(queue.LifoQueue[Place]):
    """Places that wait for a picture. One whose last start has failed is the last to be taken."""

    def _put(self, item: Place) -> None:
        self.queue.insert(0 if item.failures else len(self.queue), item)


class ChildPool:
    """Children, each lent to one picture at a time and replaced when it has ended."""

    ends_by_itself = True

    def __init__(self, count: int, *, max_decode_s: float) -> None:
        """Start so many, without waiting until they are ready; there may be more later."""
        self.max_decode_s = max_decode_s
        self.drained_at: float | None = None
        self.unended: list[subprocess.Popen[bytes]] = []
        """Killed, and still held by a share that does not answer."""
        self.places: list[Place] = []
        self.idle = IdlePlaces()
        self.spare: queue.SimpleQueue[Place] = queue.SimpleQueue()
        """Places that were not needed yet."""
        for _ in range(count):
            self.places.append(place := Place())
            self.idle.put(place)
        self.started = tuple(self.places)
        self.start_all()

    def extend(self, count: int) -> None:
        """Have so many places, and not fewer than there are. New ones are empty until needed."""
        while len(self.places) < count:
            self.places.append(place := Place())
            self.spare.put(place)

    def start_all(self) -> None:
        """A child for each of the first places, as far as that is possible now."""
        for place in self.started:
            with suppress(MachineError):  # tried again when it is needed
                self.living(place)

    def free_place(self) -> Place:
        """Wait for a place; if all that were used are busy for a moment, take a new one."""
        if not self.spare.empty():
            with suppress(queue.Empty):
                return self.idle.get(timeout=PATIENCE_S)
            with suppress(queue.Empty):
                return self.spare.get_nowait()
        return self.idle.get()

    def check(self) -> None:
        """Wait until the first child is ready, and start those that are missing.

        `MachineError` if there is no room for one, `InstallError` if one ends at once.
        """
        child = self.living(first := self.places[0])
        try:
            child.make_ready(self.is_abandoned)
        except TookTooLong as error:
            self.lose(first, child)
            raise MachineError(self.trouble(first)) from error
        except Ended as error:
            text = self.lose(first, child)
            raise InstallError(
                f"no decode child can be started ({text}): install cvunetd again"
            ) from error
        confined_by = ", ".join(child.confined_by or ["limits alone"])
        logger.info("decode children are ready, confined by %s", confined_by)
        self.start_all()

    @contextmanager
    def opened(self, stream: BinaryIO, task: Task) -> Iterator[ChildsDecoding]:
        """Lend a child to a picture; it is replaced if the picture has cost its life."""
        place = self.free_place()
        child = None
        try:
            child = self.ready(place)
            decoding = ChildsDecoding(
                child,
                stream,
                task,
                max_decode_s=self.max_decode_s,
                is_abandoned=self.is_abandoned,
            )
            try:
                yield decoding
            finally:
                decoding.tell_output()
                if decoding.is_spoilt or not child.is_alive:
                    self.drop(place, child)
        finally:
            self.idle.put(place)

    def is_abandoned(self) -> bool:
        """It is time to give up what is being decoded."""
        return self.drained_at is not None and time.monotonic() > self.drained_at + DRAIN_S

    # --- starting ------------------------------------------------------------------------

    def ready(self, place: Place) -> DecodeChild:
        """A child that can be asked. `MachineError` if none can be started now."""
        child = self.living(place)
        try:
            child.make_ready(self.is_abandoned)
        except (Ended, TookTooLong) as error:
            self.lose(place, child)
            raise MachineError(self.trouble(place)) from error
        except Abandoned:
            self.drop(place, child)
            raise
        place.failures = 0
        return child

    def living(self, place: Place) -> DecodeChild:
        """The place's child, or a new one."""
        if place.child is not None and not place.child.is_alive:
            logger.warning(
                "an idle decode child has ended (%s)",
                name_of_signal(place.child.process.returncode),
            )
            self.drop(place, place.child)
        return place.child or self.start(place)

    def start(self, place: Place) -> DecodeChild:
        """A new child, not too soon after the one before."""
        if time.monotonic() < place.not_before:
            raise MachineError(self.trouble(place))
        early_s = place.started_at + LEAST_LIFE_S - time.monotonic()
        if early_s > 0:
            time.sleep(early_s)
        place.started_at = time.monotonic()
        try:
            place.child = DecodeChild()
        except OSError as error:
            self.note_failure(place, describe(error))
            raise MachineError(self.trouble(place)) from error
        return place.child

    def lose(self, place: Place, child: DecodeChild) -> str:
        """A child that never became ready; why, as far as it has told."""
        reason = child.last_words()
        self.drop(place, child)
        self.note_failure(place, reason)
        return place.reason

    def note_failure(self, place: Place, reason: str) -> None:
        """The next start waits longer."""
        wait_s = doubled_s(1.0, place.failures, MOST_WAIT_S)
        place.failures += 1
        place.not_before, place.reason = time.monotonic() + wait_s, reason

    def trouble(self, place: Place) -> str:
        """Return why no decode child can be started, for people."""
        return f"no decode child can be started ({place.reason}); it is tried again"

    # --- ending --------------------------------------------------------------------------

    def drop(self, place: Place, child: DecodeChild) -> None:
        """End a child; its place is free for a new one."""
        place.child = None
        if child.kill() is None:
            self.unended.append(child.process)
        child.close()
        self.unended = [process for process in self.unended if process.poll() is None]

    def drain(self) -> None:
        """What is being decoded has a few seconds left."""
        self.drained_at = time.monotonic()

    def close(self) -> None:
        """End all children."""
        children = [place.child for place in self.places if place.child is not None]
        for child in children:
            child.close()  # all at once: each then ends by itself
        for place in self.places:
            if place.child is not None and place.child.wait() is None:
                self.unended.append(place.child.process)
            place.child = None
