"""``POST /api/v1/cutouts``: one picture in, its cut-out as the answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from daemon.jobs import State
from daemon.json_values import as_text
from daemon.ledger.ledger import Ending
from daemon.web import limits
from daemon.web.answers import file_headers
from daemon.web.pictures import Pictures, check_no_fields, read_options
from daemon.web.problems import Problem, busy
from daemon.web.reception import Reception
from daemon.web.sending import open_file
from daemon.web.site import Site
from daemon.web.upload_ids import ids

#: How often it is looked whether the ledger has changed; rows are read only then.
POLL_S = 0.01


class Cutouts:
    """Waits for pictures."""

    def __init__(self, site: Site, pictures: Pictures) -> None:
        self.site = site
        self.pictures = pictures

    async def make(self, request: Request) -> Response:
        """Cut a picture out and answer the result."""
        asked = read_options(self.site, request, frozenset({"name"}))
        async with self.place_to_wait():
            reception = Reception(self.site, asked, ids(self.site, request), frozenset(), 1)
            reception.is_waited_for = True
            async with reception:
                await reception.receive(request)
                check_no_fields(reception)
                await reception.publish()
                upload_id = reception.pictures[0].id
            ending = await self.result_of(request, upload_id)
        return await self.answer(ending, upload_id)

    @asynccontextmanager
    async def place_to_wait(self) -> AsyncIterator[None]:
        """Hold one of the places for clients that wait; `Problem` if there is none."""
        self.site.check_works()
        self.site.check_room()
        if self.site.waiting_clients >= limits.MAX_WAITING_CLIENTS:
            raise busy(f"{limits.MAX_WAITING_CLIENTS} clients wait already: try again later")
        self.site.waiting_clients += 1
        try:
            yield
        finally:
            self.site.waiting_clients -= 1

    async def result_of(self, request: Request, upload_id: str) -> Ending:
        """Wait for the end of a picture, as long as the client waits."""
        gone = asyncio.ensure_future(disconnected(request))
        ended = asyncio.ensure_future(self.end_of(upload_id))
        try:
            done, _ = await asyncio.wait(
                {gone, ended}, timeout=limits.ANSWER_S, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            gone.cancel()
            ended.cancel()
        if ended in done:
            return ended.result()
        raise Problem(
            HTTPStatus.GATEWAY_TIMEOUT,
            "timeout",
            f"it takes longer than {limits.ANSWER_S:g} s; it goes on, ask for picture {upload_id}",
            headers={"Location": f"/api/v1/pictures/{upload_id}"},
        )

    async def end_of(self, upload_id: str) -> Ending:
        """Return how a picture has ended, once it has."""
        seen: tuple[int, int] | None = None
        while True:
            if (version := self.site.ledger.version()) != seen:
                seen = version
                found = self.pictures.ending(upload_id)
                if found is not None and found.job.state in (State.DONE, State.FAILED):
                    return found
            if self.site.is_stopping:
                text = f"the server stops; the picture goes on, ask for picture {upload_id}"
                raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "stopping", text)
            await asyncio.sleep(POLL_S)

    async def answer(self, ending: Ending, upload_id: str) -> Response:
        """Return the result, or why there is none."""
        stream, size = await self.open(ending)
        headers = file_headers(as_text(Path(ending.job.target.name))) | {
            "Content-Length": str(size),
            "Content-Location": f"/api/v1/pictures/{upload_id}/result",
            "X-Picture-Id": upload_id,
            "X-Confidence": str(ending.details.get("confidence", {}).get("score", "")),
        }
        return StreamingResponse(self.pictures.pieces(stream, size), headers=headers)

    async def open(self, ending: Ending) -> tuple[BinaryIO, int]:
        """Open the result of a picture that has ended; `Problem` if it has none."""
        job = ending.job
        if job.state is State.FAILED:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY, "picture_failed", self.site.redacted(job.reason)
            )
        self.pictures.check_served(job, job.target)
        return await self.site.run(open_file, job.target)


async def disconnected(request: Request) -> None:
    """Return when the client has hung up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
