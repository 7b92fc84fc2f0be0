"""remove.bg's API, version 1.0: its operations; `removebg_parameters` reads what they are given."""

import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from daemon.jobs import State
from daemon.json_values import as_text
from daemon.ledger.ledger import Ending
from daemon.web.answers import file_headers
from daemon.web.arranger import Arranger, no_subject
from daemon.web.bodies import form_fields, kind_of, members
from daemon.web.cutouts import Cutouts
from daemon.web.fetching import fetch, refused
from daemon.web.picture_texts import FIELD, JSON, URLENCODED, FileText, PictureText, decoded
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
JSON_TYPE = "application/json"
PICTURE_TYPES = ("image/", "*/*")
#: How much less a client likes one of the types that it accepts.
QUALITY = re.compile(r";\s*q=(0(?:\.[0-9]{0,3})?)\s*(?:;|$)")
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
        kind = kind_of(request)
        if request.query_params:
            raise bad_request("invalid_parameter", "parameters stand in the body")
        if kind == FORM:
            await reception.receive_parts(request, {FIELD: partial(FileText, FILE)})
            pairs = [(one.name, one.value) for one in reception.fields]
        elif kind == JSON_TYPE:
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
            raise bad_request(
                "invalid_image_file", "image_file is text: send it as a file of a multipart form"
            )
        else:
            await reception.receive_chunks("", self.site.pieces(decoded(text)))

    async def add_background(self, given: dict[str, str], reception: Reception) -> None:
        """Fetch the background if it is a URL; `Problem` if there are two."""
        if BACKGROUND_FILE in given:
            text = f"{BACKGROUND_FILE} is text: send it as a file of a multipart form"
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
            raise bad_request("invalid_image_file", self.site.redacted(ending.job.reason))
        if ending.details.get("confidence", {}).get("is_blank"):
            raise no_subject()
        stream, size = await self.cutouts.open(ending)
        name, details = as_text(Path(ending.job.target.name)), ending.details
        facts = [details.get(one) for one in ("result_width", "result_height", "foreground")]
        if asked.arrangement is not None:
            with stream:
                made = await self.arranger.arrange(
                    stream, asked.arrangement, background, code="invalid_parameter"
                )
            stream, size, name = made.stream, made.size, f"{Path(name).stem}{made.suffix}"
            facts = [made.width, made.height, made.foreground]
            if made.foreground is None:
                stream.close()
                raise no_subject()
        headers = self.headers(given, *facts)
        pieces = self.cutouts.pictures.pieces(stream, size)
        if prefers_json(request.headers.get("accept", "")):
            return in_json(pieces, size, headers)
        headers |= file_headers(name) | {"Content-Length": str(size)}
        return StreamingResponse(pieces, headers=headers)

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


def prefers_json(accept: str) -> bool:
    """Whether a client prefers JSON to a picture (RFC 9110, section 12.5.1).

    Axios names JSON beside ``*/*`` in all its requests, and means any answer.
    """
    for_json = for_picture = 0.0
    for one in accept.lower().split(","):
        kind, *_ = one.strip().partition(";")
        lowered = QUALITY.search(one)
        quality = 1.0 if lowered is None else float(lowered[1])
        if kind.strip() == JSON_TYPE:
            for_json = max(for_json, quality)
        elif kind.startswith(PICTURE_TYPES):
            for_picture = max(for_picture, quality)
    return for_json > for_picture


def in_json(pieces: AsyncIterator[bytes], size: int, headers: dict[str, str]) -> Response:
    """Return a result of ``size`` bytes as JSON, with the subject's place.

    It is encoded while it is sent: a large one would take several times its size of memory.
    """
    data: Json = {"result_b64": ""}
    for side in SIDES:
        if (length := headers.get(f"X-Foreground-{side.capitalize()}")) is not None:
            data[f"foreground_{side}"] = int(length)
    head, tail = json.dumps({"data": data}).split('""', 1)
    total = len(head) + 2 + 4 * ((size + 2) // 3) + len(tail)
    headers = headers | {"Content-Length": str(total)}
    content = in_base64(pieces, f'{head}"'.encode(), f'"{tail}'.encode())
    return StreamingResponse(content, headers=headers, media_type=JSON_TYPE)


async def in_base64(pieces: AsyncIterator[bytes], head: bytes, tail: bytes) -> AsyncIterator[bytes]:
    """Yield ``head``, the pieces in base64 (RFC 4648, section 4), and ``tail``."""
    yield head
    rest = b""
    async for piece in pieces:
        rest += piece
        whole = len(rest) - len(rest) % 3  # three bytes are four letters
        yield base64.b64encode(rest[:whole])
        rest = rest[whole:]
    yield base64.b64encode(rest) + tail


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
