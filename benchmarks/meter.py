"""Time of the service's thread by part: what is done for another part counts there.

The processor's time by default; `blocked_ns` instead shows where the thread waits for the disk.
"""

import functools
import logging
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from daemon.disk import store
from daemon.ledger.database import Connection, Database
from daemon.service.service import Service

OTHER = "the rest of the loop"
SCHEDULER = Path("/proc/thread-self/schedstat")


def delayed_ns() -> int:
    """How long this thread could have run, but other programs had the core; 0 if nobody says."""
    try:
        return int(SCHEDULER.read_bytes().split()[1])
    except OSError:  # a kernel without these figures
        return 0


def blocked_ns() -> int:
    """How long this thread has waited for something: the disk, a lock, a message.

    Only differences mean something. Another program's turn between two of the readings would be
    taken for a wait, so they are read again then.
    """
    while True:
        delayed = delayed_ns()
        blocked = time.monotonic_ns() - time.thread_time_ns() - delayed
        if delayed_ns() == delayed:
            return blocked


class Meter:
    """Adds up exclusive times; one thread only."""

    def __init__(self, clock: Callable[[], int] = time.thread_time_ns) -> None:
        """``clock`` in nanoseconds."""
        self.clock = clock
        self.spent_ns: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.parts = [OTHER]
        self.since = clock()

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds so far by part; empty if nothing was metered."""
        if not self.calls:
            return {}
        now = self.clock()
        self.spent_ns[self.parts[-1]] += now - self.since
        self.since = now
        return {part: spent / 1e9 for part, spent in self.spent_ns.items()}

    def enter(self, part: str) -> None:
        """From now on time counts for this part."""
        now = self.clock()
        self.spent_ns[self.parts[-1]] += now - self.since
        self.parts.append(part)
        self.calls[part] += 1
        self.since = now

    def leave(self) -> None:
        """From now on time counts for the part before."""
        now = self.clock()
        self.spent_ns[self.parts.pop()] += now - self.since
        self.since = now

    def wrap(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:  # Any: as it is
        """The same function, metered."""

        @functools.wraps(function)
        def metered(*arguments: Any, **named: Any) -> Any:  # Any: as the function takes and gives
            self.enter(part)
            try:
                return function(*arguments, **named)
            finally:
                self.leave()

        return metered

    def watch(self, part: str, owner: object, *names: str) -> None:
        """Meter some methods of an object, or functions of a module."""
        for name in names:
            setattr(owner, name, self.wrap(part, getattr(owner, name)))


class MeteredConnection:
    """SQLite's connection, whose commits count for themselves: they wait for the disk."""

    def __init__(self, inner: Connection, meter: Meter) -> None:
        self.inner = inner
        self.meter = meter

    def execute(self, statement: str, *values: Any) -> Any:  # Any: as SQLite takes and gives
        """Count a commit, or else a statement."""
        part = "ledger: commits" if statement == "COMMIT" else "ledger: statements"
        self.meter.enter(part)
        try:
            return self.inner.execute(statement, *values)
        finally:
            self.meter.leave()

    def __getattr__(self, name: str) -> Any:  # Any: as SQLite's
        return getattr(self.inner, name)


def watch_service(service: Service, meter: Meter) -> None:
    """Meter the parts of a picture's way (docs/architecture.md, section 5)."""
    parts = service.parts
    intake, completion = parts.intake, parts.completion
    watch_ledger(parts.ledger, meter)
    meter.watch("watching: events", intake, "handle_event")
    meter.watch("watching: sweeps", parts.sweeps, "run_due")
    meter.watch("intake: settled, writers", intake, "take_in")
    meter.watch("intake: rename", store, "claim")
    meter.watch("intake: names", intake.claiming.placement, "reserve")
    meter.watch("intake: fsync", intake.claiming.syncs, "flush")
    meter.watch("dispatch", parts.dispatcher, "dispatch")
    meter.watch("engine: calls", parts.engine, "submit")
    meter.watch("delivery: note", completion, "note", "warned_of_writer")
    meter.watch("delivery: publish", completion.results, "publish")
    meter.watch("delivery: fsync", completion, "made_durable")
    meter.watch("delivery: archive", completion.originals, "put_away")
    meter.watch("delivery: close", completion, "close")
    meter.watch("delivery: other", service, "deliver")
    meter.watch("drops, manifests", parts.drops, "upkeep")
    meter.watch("status report", parts.report, "update")
    for handler in logging.getLogger().handlers:
        meter.watch("log", handler, "handle")


def watch_ledger(ledger: Database, meter: Meter) -> None:
    """Meter statements and commits apart."""
    ledger.db = MeteredConnection(ledger.db, meter)  # type: ignore[assignment]  # looks like one
