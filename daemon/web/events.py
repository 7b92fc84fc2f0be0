"""``/api/v1/events``: what happens to pictures, as server-sent events."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from daemon.errors import LedgerError
from daemon.jobs import State
from daemon.json_values import as_text
from daemon.ledger.ledger import Ending
from daemon.web import limits
from daemon.web.pictures import progress_of
from daemon.web.problems import Problem, busy
from daemon.web.site import Site

logger = logging.getLogger(__name__)

Event = tuple[str, dict[str, Any]]  # Any: JSON
LOOK_S = 0.5
#: Rows may be committed a little later than the time that they name.
LATENESS_S = 30.0
HEARTBEAT_S = 15.0
QUEUE = 1000
"""Events that wait for a slow listener; then it is hung up on, and may ask anew."""


class Observer:
    """Compares the ledger with what it was before; one for all listeners."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.states: dict[str, str] = {}
        """By job: the last state that was told."""
        self.standby: dict[str, str] = {}
        self.stages: dict[str, str] = {}
        """By job: the last stage that was told."""
        self.since = site.clock()

    def look(self) -> Iterator[Event]:
        """Yield what has changed since the last look."""
        report = self.site.source.report()
        yield from self.standby_events(report)
        now = self.site.clock()
        rows = self.site.ledger.uploads.open_and_ended(self.since)
        self.since = now - LATENESS_S
        stages: dict[str, str] = report.get("work", {}) | percents(report.get("clips", {}))
        found = {}
        for ending in rows:
            job = ending.job
            found[job.id] = job.state.value
            stage = stages.get(job.id) if job.state is State.RUNNING else None
            is_new_stage = stage is not None and self.stages.get(job.id) != stage
            if self.states.get(job.id) != job.state.value or is_new_stage:
                more = {"stage": stage.partition(" ")[0]} if stage else {}
                if job.clip and stage:
                    more |= progress_of(report, job)
                yield job.state.value, self.picture_event(ending) | more
        self.states, self.stages = found, stages

    def picture_event(self, ending: Ending) -> dict[str, Any]:  # Any: JSON
        """Return what an event says of a picture."""
        job = ending.job
        content: dict[str, Any] = {
            "id": None if job.upload is None else job.upload.id,
            "job": job.id,
            "folder": job.folder,
            "source": as_text(job.relative),
            "drop": job.drop,
            "attempts": job.attempts,
        }
        if job.reason:
            content["reason"] = self.site.redacted(job.reason)
        return content

    def standby_events(self, report: dict[str, Any]) -> Iterator[Event]:  # Any: JSON
        """Yield folders that have begun or ceased to stand by."""
        standby = self.site.reasons("standby", report)
        if standby != self.standby:
            self.standby = standby
            yield "standby", {"folders": standby}


class Events:
    """Listeners, and the one who looks for them while there are any."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.queues: set[asyncio.Queue[Event | None]] = set()
        self.task: asyncio.Task[None] | None = None

    async def listen(self, request: Request) -> Response:
        """Answer events until the client hangs up."""
        if len(self.queues) >= limits.MAX_LISTENERS:
            raise busy(f"{limits.MAX_LISTENERS} programs listen already")
        headers = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        if request.method == "HEAD":
            return Response(headers=headers)
        return StreamingResponse(self.stream(), headers=headers)

    async def stream(self) -> AsyncIterator[str]:
        """Yield events as text."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue(QUEUE)
        self.queues.add(queue)
        try:
            if self.task is None or self.task.done():
                self.task = asyncio.create_task(self.watch())
            yield "retry: 2000\n\n"
            while not self.site.is_stopping:
                try:
                    async with asyncio.timeout(HEARTBEAT_S):
                        event = await queue.get()
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                if event is None:
                    return
                yield as_text_event(*event)
        finally:
            self.queues.discard(queue)

    async def watch(self) -> None:
        """Look twice a second, as long as somebody listens."""
        observer = Observer(self.site)
        while self.queues:
            if self.site.is_stopping:
                for queue in list(self.queues):
                    hang_up(queue)
                return
            try:
                events = list(observer.look())
            except (LedgerError, Problem) as error:
                logger.debug("no events now: %s", error)
                events = []
            for queue in list(self.queues):
                for event in events:
                    tell(queue, event)
            await asyncio.sleep(LOOK_S)


def percents(clips: dict[str, Any]) -> dict[str, str]:  # Any: JSON
    """Return clips in work as a stage that changes with each hundredth that is done."""
    return {
        job_id: f"clip {100 * clip['frames'] // max(clip['total'] or 1, 1)}"
        for job_id, clip in clips.items()
    }


def tell(queue: "asyncio.Queue[Event | None]", event: Event) -> None:
    """Put an event into a queue; a listener that is too slow is hung up on."""
    if queue.full():
        hang_up(queue)
    else:
        queue.put_nowait(event)


def hang_up(queue: "asyncio.Queue[Event | None]") -> None:
    """End a listener."""
    while not queue.empty():
        queue.get_nowait()
    queue.put_nowait(None)


def as_text_event(kind: str, content: dict[str, Any]) -> str:  # Any: JSON
    """Return an event as the protocol writes it; JSON holds no line ends."""
    return f"event: {kind}\ndata: {json.dumps(content)}\n\n"
