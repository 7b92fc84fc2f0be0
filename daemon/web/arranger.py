"""Has a cut-out arranged by a process of its own: see `cvunet.matte.arranging`."""

import asyncio
import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from subprocess import TimeoutExpired
from typing import Any, BinaryIO

from daemon.disk import uploads
from daemon.web.problems import Problem, bad_request
from daemon.web.site import Site

Json = dict[str, Any]  # Any: JSON
PROGRAM = "cvunet.matte.arranging"
PATIENCE_S = 120.0
BAD_BACKGROUND = 3


@dataclass(frozen=True, slots=True)
class Arranged:
    """What is answered."""

    stream: BinaryIO
    """An open file of its own, at the content; it has no name on the disk."""
    size: int
    suffix: str
    """Of its format, such as ``.png``."""
    width: int
    height: int
    foreground: list[int] | None
    """Left, top, width and height of the subject."""


class Arranger:
    """One at a time: each takes memory."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.turn = asyncio.Semaphore(1)

    async def arrange(
        self, stream: BinaryIO, wish: Json, background: BinaryIO | None, *, code: str
    ) -> Arranged:
        """Return a result in the way that is wished for; `Problem` with ``code`` if that fails.

        ``wish`` is an arrangement with format, channels and has_background.
        """
        # Not in memory: clients that read slowly would keep many of them there.
        made = await self.site.run(uploads.nameless, self.site.root)
        try:
            async with self.turn:
                status = await self.site.run(self.run, stream, wish, background, made)
            if status is None or status not in (0, BAD_BACKGROUND):
                raise bad_request(code, "the result cannot be arranged so: it is too large")
            if status:
                raise bad_request("invalid_background", "the background is no picture")
            return await self.site.run(read, made)
        except BaseException:
            made.close()
            raise

    def run(
        self, stream: BinaryIO, wish: Json, background: BinaryIO | None, made: BinaryIO
    ) -> int | None:
        """Run the process, which writes into ``made``; None if it takes too long."""
        given = {name: value for name, value in wish.items() if name != "has_background"}
        given["background"] = None
        passed: tuple[int, ...] = ()
        if background is not None:
            background.flush()
            background.seek(0)
            passed = (background.fileno(),)
            given["background"] = background.fileno()
        with suppress(TimeoutExpired):
            status, _ = self.site.programs.run(
                (sys.executable, "-m", PROGRAM, json.dumps(given)),
                timeout_s=PATIENCE_S,
                stdin=stream,
                stdout=made,
                pass_fds=passed,
                environment=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
            return status
        return None


def read(made: BinaryIO) -> Arranged:
    """Return what the process has written: a line of JSON, then the content."""
    end = made.seek(0, os.SEEK_END)
    made.seek(0)
    told = json.loads(made.readline())
    suffix = f".{told['type'].rpartition('/')[2].replace('jpeg', 'jpg')}"
    size = end - made.tell()
    return Arranged(made, size, suffix, told["width"], told["height"], told["foreground"])


def no_subject() -> Problem:
    """Return the refusal of a result that shows nothing."""
    return bad_request("unknown_foreground", "no subject was found in the picture")
