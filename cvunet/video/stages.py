"""Steps of a pipeline in threads of their own, with bounded lines between them.

All threads of one `Stages` end together: when the caller leaves it, when a step fails, or when
another thread asks for it.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar

from cvunet.errors import CvunetError

Item = TypeVar("Item")
Result = TypeVar("Result")

#: A queue cannot be woken by an event that belongs to somebody else, so waiting threads look.
LOOK_EVERY_S = 0.05


class Cancelled(CvunetError):
    """The caller has cancelled the work."""


def check(cancelled: threading.Event | None = None) -> None:
    """`Cancelled` if the caller has set this; nobody can cancel without it."""
    if cancelled is not None and cancelled.is_set():
        raise Cancelled("the work was cancelled")


class _Ended(Exception):
    """All threads of these stages are to end."""


class Stages:
    """Runs iterators in threads. Use it in a `with` statement: at its end no thread is left.

    A step that waits for something outside (a read, a network) ends only after that answers.
    """

    def __init__(self, cancelled: threading.Event | None = None) -> None:
        """``cancelled`` may be set from any thread; then iterators raise `Cancelled`."""
        self.cancelled = cancelled or threading.Event()
        self.ending = threading.Event()
        self.threads: list[threading.Thread] = []
        self.pools: list[ThreadPoolExecutor] = []

    def __enter__(self) -> Self:
        """Start nothing yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all threads and wait for them."""
        self.ending.set()
        for thread in self.threads:
            thread.join()
        for pool in self.pools:
            pool.shutdown(wait=True, cancel_futures=True)

    def in_thread(
        self, items: Generator[Item, None, None], *, room: int, name: str
    ) -> Iterator[Item]:
        """Yield the items, made in a thread that is at most ``room`` items ahead.

        What ``items`` raises is raised here, after the items before it.
        """
        # Any: items, then one error or None for the end; the kind stands beside them.
        line: queue.Queue[tuple[str, Any]] = queue.Queue(room)
        thread = threading.Thread(target=self._fill, args=(items, line), name=name, daemon=True)
        self.threads.append(thread)
        thread.start()
        while True:
            kind, value = self._take(line)
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value

    def in_pool(
        self,
        items: Iterable[Item],
        work: Callable[[Item], Result],
        *,
        threads: int,
        is_same: Callable[[Item, Item], bool],
    ) -> Generator[tuple[Item, Result], None, None]:
        """Items with the results of ``work``, in order, made by several threads.

        An item that ``is_same`` as the one before it gets the same result without work.
        """
        waiting: deque[tuple[Item, Future[Result]]] = deque()
        newest: tuple[Item, Future[Result]] | None = None
        pool = ThreadPoolExecutor(threads, thread_name_prefix="clip-pool")
        self.pools.append(pool)
        for item in items:
            if newest is not None and is_same(newest[0], item):
                newest = item, newest[1]
            else:
                newest = item, pool.submit(work, item)
            waiting.append(newest)
            if len(waiting) > threads:
                yield waiting[0][0], waiting.popleft()[1].result()
        while waiting:
            yield waiting[0][0], waiting.popleft()[1].result()

    def _fill(
        self, items: Generator[Item, None, None], line: "queue.Queue[tuple[str, Any]]"
    ) -> None:
        try:
            for item in items:
                self._put(line, ("item", item))
            self._put(line, ("end", None))
        except _Ended:
            return
        except BaseException as error:  # noqa: BLE001 - the reader of the line raises it again
            self._put_last(line, error)
        finally:
            items.close()

    def _put_last(self, line: "queue.Queue[tuple[str, Any]]", error: BaseException) -> None:
        try:
            self._put(line, ("error", error))
        except _Ended:
            return

    def _put(self, line: "queue.Queue[tuple[str, Any]]", entry: tuple[str, Any]) -> None:
        while not self.ending.is_set() and not self.cancelled.is_set():
            try:
                line.put(entry, timeout=LOOK_EVERY_S)
            except queue.Full:
                continue
            return
        raise _Ended

    def _take(self, line: "queue.Queue[tuple[str, Any]]") -> tuple[str, Any]:
        while not self.ending.is_set():
            check(self.cancelled)
            try:
                return line.get(timeout=LOOK_EVERY_S)
            except queue.Empty:
                continue
        raise _Ended
