"""Threads that wait for the disk beside each other; they end when there is nothing to wait for."""

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable

logger = logging.getLogger(__name__)

#: File systems with a journal write once for all who wait at the same time.
THREADS = 16
#: To start 16 threads takes 2 ms of the processor: the next pictures of a flood find them alive.
IDLE_S = 1.0

Step = Callable[[], None]


class Batch:
    """Steps that one or several threads take from one line; all are done, also after an error."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self.left = deque(steps)
        self.undone = len(self.left)
        self.lock = threading.Lock()
        self.is_done = threading.Event()
        self.errors: list[BaseException] = []

    def do_next(self) -> bool:
        """Do one step; False if none is left. Its error is kept."""
        try:
            step = self.left.popleft()
        except IndexError:
            return False
        try:
            step()
        except BaseException as error:  # noqa: BLE001  # `finish` raises it
            self.errors.append(error)
        with self.lock:
            self.undone -= 1
            if not self.undone:
                self.is_done.set()
        return True

    def work(self) -> None:
        """Do steps until none is left."""
        while self.do_next():
            pass

    def finish(self) -> None:
        """Work as well, wait until all is done, and raise the first error."""
        self.work()
        if self.undone:
            self.is_done.wait()
        if self.errors:
            raise self.errors[0]


class SyncThreads:
    """Each is started when it is needed, and ends by itself when it has had no work for a while."""

    def __init__(self, idle_s: float = IDLE_S) -> None:
        self.idle_s = idle_s
        # No SimpleQueue: where several wait, Python 3.11 may let one of them wait for ever.
        self.batches: queue.Queue[Batch] = queue.Queue()
        self.lock = threading.Lock()
        self.count = 0
        """Threads that live."""
        self.open: list[Batch] = []
        """What may not be done yet."""

    def help(self, batch: Batch) -> None:
        """Do its steps side by side; `Batch.finish` waits for them."""
        with self.lock:
            self.open = [one for one in self.open if one.undone]
            self.open.append(batch)
            needed = min(THREADS, sum(one.undone for one in self.open))
            for _ in range(min(THREADS, batch.undone)):
                self.batches.put(batch)
            while self.count < needed and self.start_one():
                self.count += 1

    def start_one(self) -> bool:
        """Start a thread; False if the machine has none now: who waits does the steps then."""
        try:
            # A daemon thread: a process that ends does not wait until it has been idle.
            threading.Thread(target=self.serve, name="sync", daemon=True).start()
        except RuntimeError as error:
            logger.warning("no thread to wait for the disk: %s", error)
            return False
        return True

    def serve(self) -> None:
        """Work off one batch after the other, in a thread."""
        while (batch := self.next_batch()) is not None:
            batch.work()

    def next_batch(self) -> Batch | None:
        """Wait for a batch; None if there is none, and the thread has to end."""
        try:
            return self.batches.get(timeout=self.idle_s)
        except queue.Empty:
            pass
        with self.lock:
            try:  # one may have come since
                return self.batches.get_nowait()
            except queue.Empty:
                self.count -= 1
                return None
