"""Engines run tasks; to the service they all look the same."""

from collections.abc import Iterable
from concurrent.futures import Future
from typing import Protocol

from daemon.jobs import Outcome, Task
from daemon.worker.gauges import Load, Memory


class Engine(Protocol):
    """Runs tasks somewhere. Only paths cross this border, never pixels."""

    @property
    def device(self) -> str:
        """What it runs on, for people."""

    @property
    def depth(self) -> int:
        """How many tasks keep it busy; more would only wait inside."""

    @property
    def memory(self) -> dict[str, Memory]:
        """Memory of each device that has its own; none for the machine's."""

    @property
    def load(self) -> dict[str, Load]:
        """What each device has been asked since the start."""

    @property
    def inside(self) -> dict[str, int]:
        """How many tasks are at each stage, or wait before it."""

    def submit(self, task: Task) -> "Future[Outcome]":
        """Begin a task. The future gets an outcome and never an exception."""

    def stalled(self, monotonic: float, *, patience_s: float) -> Iterable[str]:
        """Which of its parts make no progress, for people; nothing if all is well.

        A part may be silent for ``patience_s``, or for as long as its work may take.
        """

    def drain(self) -> None:
        """Tasks that have not begun end as `Cancelled`; the others end as usual."""

    def close(self) -> None:
        """Wait for what runs, then let go of everything."""
