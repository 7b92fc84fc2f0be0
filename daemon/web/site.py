"""What all requests share: the folder of uploads, the ledger, the daemon's state, threads."""

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from daemon.config.web_schema import Web
from daemon.disk import files, free_space, uploads
from daemon.jobs import Hint, HotFolder
from daemon.lifecycle.naming import new_id
from daemon.messages import FileEvent, Message
from daemon.web import limits
from daemon.web.problems import Problem, busy, unavailable
from daemon.web.programs import Programs
from daemon.web.records import LedgerView
from daemon.web.redaction import redact
from daemon.web.reported import Reported
from daemon.web.sources import Source
from daemon.web.thumbnail_children import Children

logger = logging.getLogger(__name__)

#: How old a count of waiting uploads may be.
COUNT_S = 0.2
#: Between two looks of the first client that waits for room.
ROOM_LOOK_S = 0.05
P = ParamSpec("P")
T = TypeVar("T")


def nobody(message: Message) -> None:
    """Take a hint where there is no inbox: the daemon's watches see the same."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the server needs of the configuration, as at its start; `Reported` knows what is new."""

    web: Web
    folder: HotFolder
    """Of uploads."""
    folders: list[HotFolder]
    """All hot folders, that of uploads among them."""
    state: Path
    min_free_mb: float
    models: list[dict[str, Any]] = field(default_factory=list)  # Any: JSON
    """The default first; what is told of each, but for its users."""
    keep_days: float = 7.0
    server_folders: tuple[Path, ...] = ()
    """Folders outside, of which copies may be taken."""
    config_path: Path | None = None
    private_paths: tuple[Path, ...] = ()
    """Other files and folders of this machine: clients are told only the last part of them."""

    @property
    def model_names(self) -> list[str]:
        """Return the names that a request may ask for."""
        return [str(model["name"]) for model in self.models]


class Site:
    """One server's state; everything but `run` belongs to the thread of the event loop."""

    def __init__(
        self,
        settings: Settings,
        ledger: LedgerView,
        source: Source,
        *,
        hint: Callable[[Message], object] = nobody,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``hint`` takes messages for the daemon, if it is in this process."""
        self.settings = settings
        self.ledger = ledger
        self.source = source
        self.reported = Reported(
            source,
            settings.folder,
            roots=frozenset(one.output_root for one in settings.folders),
            min_free_mb=settings.min_free_mb,
            keep_days=settings.keep_days,
            users={one.name: one.model for one in settings.folders},
        )
        self.hint = hint
        self.clock = clock
        self.serials = itertools.count()
        self.receiving: set[str] = set()
        """Ids of uploads that come now."""
        self.waiting_clients = 0
        self.seeking = 0
        """Uploads that wait for room."""
        self.line = asyncio.Lock()
        """Held by the first of them."""
        self.waiting = 0
        """Uploads that wait to be taken, by the last count, and those published since."""
        self.counted_at = -COUNT_S
        self.listeners = 0
        self.is_stopping = False
        self.pool = ThreadPoolExecutor(limits.FILE_THREADS, "web-file")
        self.fetchers = ThreadPoolExecutor(limits.FETCH_THREADS, "web-fetch")
        self.children = Children()
        self.programs = Programs()

    @property
    def root(self) -> Path:
        """Return the folder of uploads."""
        return self.settings.folder.path

    @property
    def limit_bytes(self) -> int:
        """Return how long a request may be."""
        return int(self.settings.web.max_upload_mb * limits.MEGA)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what may wait for a disk, in another thread.

        If the request is cancelled meanwhile, the work is finished all the same.
        """
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self.pool, lambda: work(*args, **kwargs)))

    async def pieces(
        self, content: Iterator[bytes], *, is_remote: bool = False
    ) -> AsyncIterator[bytes]:
        """Yield what takes time to come.

        ``is_remote``: from another server, which must not hold the threads for files.
        """
        pool = self.fetchers if is_remote else self.pool
        step = partial(next, content, None)
        loop = asyncio.get_running_loop()
        while (piece := await asyncio.shield(loop.run_in_executor(pool, step))) is not None:
            yield piece

    def new_id(self) -> str:
        """Return an id for an upload."""
        return new_id(self.clock(), next(self.serials))

    def check_room(self, count: int = 1) -> None:
        """Refuse uploads that would wait for too long, or for which there is no space."""
        limit = self.settings.web.max_waiting
        waiting = self.count_waiting() + len(self.receiving)
        if waiting + count > limit:
            raise busy(f"{waiting} pictures wait already (web.max_waiting): try again later")
        free_mb = free_space.free_bytes(self.root) / limits.MEGA
        if free_mb < self.reported.min_free_mb:
            raise Problem(
                HTTPStatus.INSUFFICIENT_STORAGE,
                "storage",
                "too little free space; nothing was taken",
                headers={"Retry-After": "60"},
                is_closing=True,
            )

    async def find_room(self) -> None:
        """Let an upload wait a moment for room, in turn; `Problem` as by `check_room`.

        A client that is refused sends its picture again. That takes more of this machine than a
        client that waits, while its bytes wait on the connection.
        """
        try:
            return self.check_room()
        except Problem as problem:
            is_full = problem.status is HTTPStatus.TOO_MANY_REQUESTS
            if not is_full or self.is_stopping or self.seeking >= limits.MAX_SEEKING:
                raise
        self.seeking += 1
        try:
            async with asyncio.timeout(limits.ROOM_S), self.line:
                await self.see_room()
        except TimeoutError:
            self.check_room()
        finally:
            self.seeking -= 1

    async def see_room(self) -> None:
        """Look again and again until there is room."""
        while True:
            await asyncio.sleep(ROOM_LOOK_S)  # the one before us begins to send meanwhile
            try:
                return self.check_room()
            except Problem as problem:
                if problem.status is not HTTPStatus.TOO_MANY_REQUESTS or self.is_stopping:
                    raise

    def count_waiting(self) -> int:
        """Return how many uploads wait, or a few more: each listing of the folder takes time."""
        now = time.monotonic()
        if now - self.counted_at >= COUNT_S:
            self.counted_at, self.waiting = now, len(uploads.waiting(self.root))
        return self.waiting

    def check_works(self) -> None:
        """Refuse what needs the daemon now: it loads, stands by or is down."""
        state = self.source.state()
        if state != "running":
            raise unavailable(f"the daemon is {state}: nothing is cut out now")
        reason = self.reasons("standby", self.source.report()).get(self.settings.folder.name)
        if reason:
            raise unavailable(f"the daemon stands by: {reason}")

    def reasons(self, kind: str, report: dict[str, Any]) -> dict[str, str]:  # Any: JSON
        """Return by name why folders stand by, or are polled (``polled``); without whole paths.

        ``report`` is the daemon's: it takes time to make.
        """
        reasons = report.get(kind, {})
        return {name: self.redacted(str(reason)) for name, reason in reasons.items()}

    def redacted(self, text: str) -> str:
        """Return a text of the daemon's as clients get it: without whole paths of this machine."""
        settings = self.settings
        folders = (one.path for one in settings.folders)
        others = (*settings.server_folders, *settings.private_paths)
        return redact(text, (*folders, *self.reported.roots, *others))

    def hint_upload(self, upload_id: str, name: str) -> None:
        """Let the daemon look at an upload at once; else it would see it a moment later."""
        self.waiting += 1
        path = self.root / upload_id / name
        self.hint(FileEvent(self.settings.folder.name, path, Hint.MOVED))

    async def order(self, name: str, order: dict[str, Any]) -> None:  # Any: JSON
        """Give the daemon an order, durably."""
        await self.run(uploads.give_order, self.root, name, order)
        path = uploads.order_file(self.root, name)
        self.hint(FileEvent(self.settings.folder.name, path, Hint.MOVED))

    def withdraw(self, name: str) -> None:
        """Take an order back if the daemon has not carried it out yet."""
        files.remove(uploads.order_file(self.root, name))

    def is_ordered(self, name: str) -> bool:
        """Whether an order of this name waits."""
        return uploads.order_file(self.root, name).exists()

    def close(self) -> None:
        """End programs, wait for what the threads do, end the children, and close the ledger."""
        self.programs.close()  # some take a minute, and threads wait for them
        self.pool.shutdown(wait=True)
        self.fetchers.shutdown(wait=True)
        self.children.close()
        self.ledger.close()
