"""``/api/v1/speed``, ``disks`` and ``checks``: what the page shows of the machine."""

import asyncio
import json
import shutil
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from daemon.json_values import utc
from daemon.ledger.history import MINUTE_S, History
from daemon.web import limits
from daemon.web.drops import check_known, number_of
from daemon.web.problems import takes_long, unavailable
from daemon.web.programs import Programs
from daemon.web.site import Site

Json = dict[str, Any]  # Any: JSON
MAX_MINUTES = 24 * 60
DISKS_S = 10.0
CHECKS_S = 60.0
#: A disk that does not answer holds one thread, and the answer is an older one, or none.
PATIENCE_S = 3.0
DOCTOR = (sys.executable, "-m", "daemon", "doctor", "--json")
DOCTOR_S = 60.0
#: Then a client is told to ask again.
CHECKS_PATIENCE_S = 8.0


class Remembered:
    """Looks at something slow, one look at a time, and remembers what it saw for a while."""

    def __init__(
        self, look: Callable[[], Awaitable[Json]], *, life_s: float, clock: Callable[[], float]
    ) -> None:
        self.look = look
        self.life_s = life_s
        self.clock = clock
        self.seen: Json | None = None
        self.seen_at = 0.0
        self.task: asyncio.Task[None] | None = None

    async def get(self, *, patience_s: float) -> Json:
        """Return what was seen lately; `Problem` if nothing was, and a look takes too long."""
        # Less than nothing: the clock was set back since.
        if self.seen is None or not 0 <= self.clock() - self.seen_at < self.life_s:
            if self.task is None or self.task.done():
                self.task = asyncio.create_task(self.look_again())
            done, _ = await asyncio.wait([self.task], timeout=patience_s)
            for task in done:
                task.result()
        if self.seen is None:
            raise takes_long()
        return self.seen

    async def look_again(self) -> None:
        """Look, and note when."""
        self.seen = await self.look()
        self.seen_at = self.clock()


class Machine:
    """Answers about the machine."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.disks_seen = Remembered(self.look_at_disks, life_s=DISKS_S, clock=self.now)
        self.checks_seen = Remembered(self.run_checks, life_s=CHECKS_S, clock=self.now)

    def now(self) -> float:
        """Return the time, UTC seconds."""
        return self.site.clock()

    # --- speed ----------------------------------------------------------------------------

    async def speed(self, request: Request) -> Response:
        """Answer how many pictures ended in each of the last minutes, the newest last."""
        check_known(request, {"minutes"})
        minutes = number_of(request, "minutes", default=60, most=MAX_MINUTES) or 1
        until = self.site.clock() // MINUTE_S * MINUTE_S + MINUTE_S
        since = until - minutes * MINUTE_S
        counts = [{"done": 0, "failed": 0} for _ in range(minutes)]
        if self.site.ledger.path.exists():
            for minute, state, count in await self.site.run(self.ask, since):
                if 0 <= minute < minutes:
                    counts[minute][state] = count
        return JSONResponse({"since": utc(since), "minutes": counts})

    def ask(self, since: float) -> list[tuple[int, str, int]]:
        """Ask the ledger by a connection of its own."""
        with closing(self.site.ledger.open_another()) as ledger:
            return History(ledger).by_minute(since)

    # --- disks ----------------------------------------------------------------------------

    async def disks(self, request: Request) -> Response:
        """Answer how much space the folders for results and uploads have."""
        check_known(request, set())
        return JSONResponse(await self.disks_seen.get(patience_s=PATIENCE_S))

    async def look_at_disks(self) -> Json:
        """Look at all places; they are told by the last part of their path."""
        roots = sorted(self.site.reported.roots_in_use())
        places = [*roots, self.site.root, self.site.settings.state]
        found = [await self.site.run(space_of, place) for place in places]
        disks = {one["disk"]: one for one in reversed(found) if one is not None}
        least = int(self.site.reported.min_free_mb * limits.MEGA)
        return {
            "disks": [
                {"name": one["name"], "free_bytes": one["free"], "total_bytes": one["total"]}
                for one in reversed(disks.values())
            ],
            "min_free_bytes": least,
        }

    # --- checks ---------------------------------------------------------------------------

    async def checks(self, request: Request) -> Response:
        """Answer what `cvunetd doctor` finds, at most a minute old; without paths."""
        check_known(request, set())
        return JSONResponse(await self.checks_seen.get(patience_s=CHECKS_PATIENCE_S))

    async def run_checks(self) -> Json:
        """Run the command in a process of its own: it reads much, and a disk may hang."""
        site = self.site
        config_path = site.settings.config_path
        found = await site.run(examine, site.programs, config_path, redact=site.redacted)
        return found | {"checked_at": utc(self.site.clock())}


def space_of(place: Path) -> Json | None:
    """Return the space of a folder's disk; None if it cannot be looked at."""
    try:
        usage, disk = shutil.disk_usage(place), place.stat().st_dev
    except OSError:
        return None
    return {"name": place.name, "free": usage.free, "total": usage.total, "disk": disk}


def examine(programs: Programs, config_path: Path | None, *, redact: Callable[[str], str]) -> Json:
    """Return the findings of `cvunetd doctor`; `Problem` if it does not end or says nothing.

    ``redact``: hides what clients need not know.
    """
    where = () if config_path is None else ("--config", str(config_path))
    try:
        _, answer = programs.run((*DOCTOR, *where), timeout_s=DOCTOR_S)
        content = json.loads(answer)
        findings = [finding_of(one, redact) for one in content["findings"]]
    except (TimeoutExpired, ValueError, KeyError, TypeError) as error:
        raise unavailable("`cvunetd doctor` gives no answer: run it on the machine") from error
    return {"is_well": bool(content["is_well"]), "findings": findings}


def finding_of(one: Json, redact: Callable[[str], str]) -> Json:
    """Return a finding without paths, and without what may be secret in addresses."""
    return {
        "check": str(one["check"]),
        "result": str(one["result"]),
        "text": redact(str(one["text"])),
        "mend": redact(str(one["mend"])),
    }
