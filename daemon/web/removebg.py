"""remove.bg's API, version 1.0: its operations; `removebg_parameters` reads what they are given."""

import base64
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from daemon.jobs import State
from daemon.json_values import as_text
from daemon.ledger.ledger import Ending
from daemon.web.answers import file_headers
from daemon.web.arranger import Arranged, Arranger, no_subject
from daemon.web.bodies import form_fields, members
from daemon.web.cutouts import Cutouts
from daemon.web.fetching import fetch, refused
from daemon.web.picture_texts import JSON, URLENCODED, PictureText, decoded
from daemon.web.pictures import checked
from daemon.web.problems import bad_request
from daemon.web.reception import FORM, Reception
from daemon.web.removebg_parameters import (
    BACKGROUND_FILE,
    BACKGROUND_URL,
    FILE,
    SOURCES,
    URL,
    Wanted,
    ignored,
    wanted,
)
from daemon.web.site import Site

Json = dict[str, Any]  # Any: JSON
FIELDS = frozenset({FILE})
SIDE_FIELDS = frozenset({BACKGROUND_FILE})
IGNORED = "X-Ignored-Parameters"
SIDES = ("left", "top", "width", "height")


class RemoveBg:
    """Answers like remove.bg."""

    def __init__(self, site: Site, cutouts: Cutouts, arranger: Arranger) -> None:
        self.site = site
        self.cutouts = cutouts
        self.arranger = arranger

    async def account(self, request: Request) -> Response:
        """Answer that there are credits: pictures cost nothing here."""
        credits_left = {"total": self.room, "subscription": 0, "payg": self.room, "enterprise": 0}
        api = {"free_calls": self.room, "sizes": "all"}
        return JSONResponse({"data": {"attributes": {"credits": credits_left, "api": api}}})

    @property
    def room(self) -> int:
        """Return how many pictures may be sent."""
        return self.site.settings.web.max_waiting

    async def remove(self, request: Request) -> Response:
        """Cut a picture out."""
        with ExitStack() as stack:
            async with self.cutouts.place_to_wait():
                new_id = self.site.new_id
                reception = Reception(
                    self.site, checked(self.site, {}), lambda number: new_id(), FIELDS, 1
                )
                reception.side_fields, reception.is_waited_for = SIDE_FIELDS, True
                async with reception:
                    given = await self.receive(request, reception)
                    background = reception.take_beside(BACKGROUND_FILE)
                    if background is not None:
                        stack.enter_context(background)
                    asked = wanted(given, has_background=background is not None)
                    reception.options = checked(self.site, asked.options)
                    await reception.publish()
                    upload_id = reception.pictures[0].id
                ending = await self.cutouts.result_of(request, upload_id)
            return await self.answer(request, ending, given, asked, background)

    async def receive(self, request: Request, reception: Reception) -> dict[str, str]:
        """Receive picture and parameters, in any of three kinds of bodies."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if request.query_params:
            raise bad_request("invalid_parameter", "parameters stand in the body")
        if kind == FORM:
            await reception.receive_parts(request)
            pairs = [(one.name, one.value) for one in reception.fields]
        elif kind == "application/json":
            body = PictureText(JSON, FILE)
            await reception.receive_form(request, body)
            pairs = [(name, text_of(name, value)) for name, value in members(body.kept).items()]
        else:
            body = PictureText(URLENCODED, FILE)
            await reception.receive_form(request, body)
            pairs = form_fields(body.kept)
        given = only_once(pairs)
        await self.add_source(given, reception)
        await self.add_background(given, reception)
        reception.check_not_empty()
        return given

    async def add_source(self, given: dict[str, str], reception: Reception) -> None:
        """Take the picture from a field or a URL; `Problem` unless there is exactly one."""
        named = [name for name in SOURCES if given.get(name)]
        if len(named) + len(reception.pictures) > 1:
            raise bad_request("multiple_sources", "give one of image_file, …_b64 and image_url")
        if not named:
            return
        text = given.pop(named[0])
        if named[0] == URL:
            await reception.receive_chunks("", self.fetched(text, URL))
        elif named[0] == FILE:
            raise bad_request("invalid_image_file", "image_file is no file: use a multipart form")
        else:
            await reception.receive_chunks("", self.site.pieces(decoded(text)))

    async def add_background(self, given: dict[str, str], reception: Reception) -> None:
        """Fetch the background if it is a URL; `Problem` if there are two."""
        if BACKGROUND_FILE in given:
            text = f"{BACKGROUND_FILE} is no file: use a multipart form"
            raise bad_request(f"invalid_{BACKGROUND_FILE}", text)
        url = given.pop(BACKGROUND_URL, None)
        if url is None:
            return
        if BACKGROUND_FILE in reception.side_files:
            text = f"give one of {BACKGROUND_URL} and {BACKGROUND_FILE}"
            raise bad_request("multiple_backgrounds", text)
        await reception.receive_beside(BACKGROUND_FILE, self.fetched(url, BACKGROUND_URL))

    def fetched(self, url: str, name: str) -> AsyncIterator[bytes]:
        """Return the body of a URL; `Problem` where none are fetched."""
        if not self.site.settings.web.fetch_urls:
            raise refused(name)
        content = fetch(url, self.site.limit_bytes, code=f"invalid_{name}")
        return self.site.pieces(content, is_remote=True)

    async def answer(
        self,
        request: Request,
        ending: Ending,
        given: dict[str, str],
        asked: Wanted,
        background: BinaryIO | None,
    ) -> Response:
        """Return the result as their API does."""
        if ending.job.state is State.FAILED:
            raise bad_request("invalid_image_file", ending.job.reason)
        if ending.details.get("confidence", {}).get("is_blank"):
            raise no_subject()
        is_json = "application/json" in request.headers.get("accept", "")
        stream, size = await self.cutouts.open(ending)
        name = as_text(Path(ending.job.target.name))
        if asked.arrangement is not None:
            with stream:
                made = await self.arranger.arrange(
                    stream, asked.arrangement, background, code="invalid_parameter"
                )
            if made.foreground is None:
                raise no_subject()
            headers = self.headers(given, made.width, made.height, made.foreground)
            return in_json(made.content, headers) if is_json else whole(made, name, headers)
        details = ending.details
        headers = self.headers(
            given,
            details.get("result_width"),
            details.get("result_height"),
            details.get("foreground"),
        )
        if is_json:
            with stream:
                return in_json(await self.site.run(stream.read), headers)
        headers |= file_headers(name) | {"Content-Length": str(size)}
        return StreamingResponse(self.cutouts.pictures.pieces(stream, size), headers=headers)

    def headers(
        self,
        given: dict[str, str],
        width: int | None,
        height: int | None,
        foreground: list[int] | None,
    ) -> dict[str, str]:
        """Return the headers of an answer; ``foreground`` is left, top, width and height."""
        kind = given.get("type", "auto")
        headers = {
            "X-Width": str(width or ""),
            "X-Height": str(height or ""),
            "X-Type": "other" if kind == "auto" else kind,
            "X-Credits-Charged": "0",
            "X-RateLimit-Limit": str(self.room),
            "X-RateLimit-Remaining": str(self.room),
            "X-RateLimit-Reset": str(int(self.site.clock()) + 1),
        }
        for side, length in zip(SIDES, foreground or (), strict=False):
            headers[f"X-Foreground-{side.capitalize()}"] = str(length)
        names = ignored(given)
        return headers | ({IGNORED: ", ".join(names)} if names else {})


def in_json(content: bytes, headers: dict[str, str]) -> Response:
    """Return a result as JSON, with the subject's place."""
    data: Json = {"result_b64": base64.b64encode(content).decode("ascii")}
    for side in SIDES:
        if (length := headers.get(f"X-Foreground-{side.capitalize()}")) is not None:
            data[f"foreground_{side}"] = int(length)
    return JSONResponse({"data": data}, headers=headers)


def whole(made: Arranged, name: str, headers: dict[str, str]) -> Response:
    """Return an arranged result as a file."""
    suffix = made.type.rpartition("/")[2].replace("jpeg", "jpg")
    told = file_headers(f"{Path(name).stem}.{suffix}")
    return Response(made.content, headers=headers | told)


def text_of(name: str, value: object) -> str:
    """Return a value of JSON as a form would hold it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise bad_request(f"invalid_{name[:40]}", f"{name[:40]} is no text")


def only_once(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Return parameters by name, without empty ones; `Problem` for one that stands twice."""
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given:
            raise bad_request(f"invalid_{name[:40]}", f"{name[:40]} stands twice")
        if value != "":
            given[name] = value
    return given
