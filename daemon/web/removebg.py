"""remove.bg's API, version 1.0: each of its parameters does what it says, or is refused.

A parameter that changes nothing for the pictures that remove.bg supports it for, is accepted and
named in the header ``X-Ignored-Parameters``.
"""

import base64
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from daemon.jobs import State
from daemon.json_values import as_text
from daemon.ledger.ledger import Ending
from daemon.web import colours, limits
from daemon.web.answers import file_headers
from daemon.web.bodies import form_fields, json_fields
from daemon.web.cutouts import Cutouts
from daemon.web.fetching import fetch, refused
from daemon.web.pictures import checked
from daemon.web.problems import bad_request
from daemon.web.reception import FORM, Reception
from daemon.web.site import Site

Json = dict[str, Any]  # Any: JSON
FILE = "image_file"
SOURCES = (FILE, "image_file_b64", "image_url")
MEGAPIXELS = {
    **dict.fromkeys(("preview", "small", "regular"), 0.25),
    "medium": 1.5,
    "hd": 4.0,
    **dict.fromkeys(("full", "4k", "auto"), 25.0),
    "50mp": 50.0,
}
FORMATS = {"png": "png", "jpg": "jpeg", "webp": "webp"}
#: Parameters with the values that change nothing here.
WITHOUT_EFFECT: dict[str, tuple[str, ...]] = {
    "type": ("auto", "person", "product", "car", "animal", "graphic", "transportation", "other"),
    "type_level": ("none", "1", "2", "latest"),
    "semitransparency": ("true", "false"),  # only for windows of cars
    "add_shadow": ("true", "false"),  # only for cars
    "shadow_type": ("none",),
    "shadow_opacity": tuple(map(str, range(101))),
    "scale": ("original", "100%"),
    "position": ("original",),
    "roi": ("0% 0% 100% 100%",),
}
#: Of these, the values that mean the same as leaving the parameter out.
DEFAULTS = {"type": "auto", "type_level": "1", "semitransparency": "true", "add_shadow": "false"}
DEFAULTS |= {"scale": "original", "position": "original", "roi": "0% 0% 100% 100%"}
MARGIN = re.compile(r"(\d{1,3}(?:\.\d+)?)(px|%)?")
MAX_MARGIN = 50.0
IGNORED = "X-Ignored-Parameters"
TRUE = ("true", "1", "yes")
FALSE = ("false", "0", "no")


class RemoveBg:
    """Answers like remove.bg."""

    def __init__(self, site: Site, cutouts: Cutouts) -> None:
        self.site = site
        self.cutouts = cutouts

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
        async with self.cutouts.place_to_wait():
            reception = Reception(
                self.site, checked(self.site, {}), lambda number: self.site.new_id(), FIELDS, 1
            )
            async with reception:
                given = await self.receive(request, reception)
                reception.options = checked(self.site, wanted(given))
                await reception.publish()
                upload_id = reception.pictures[0].id
            ending = await self.cutouts.result_of(request, upload_id)
        return await self.answer(request, ending, given)

    async def receive(self, request: Request, reception: Reception) -> dict[str, str]:
        """Receive picture and parameters, in any of three kinds of bodies."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if request.query_params:
            raise bad_request("invalid_parameter", "parameters stand in the body")
        if kind == FORM:
            await reception.receive_parts(request)
            pairs = [(one.name, one.value) for one in reception.fields]
        elif kind == "application/json":
            content = await json_fields(request, self.site.limit_bytes)
            pairs = [(name, text_of(name, value)) for name, value in content.items()]
        else:
            pairs = await form_fields(request, self.site.limit_bytes)
        given = only_once(pairs)
        await self.add_source(given, reception)
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
        if named[0] == "image_url":
            if not self.site.settings.web.fetch_urls:
                raise refused()
            await reception.receive_chunks("", fetch(text, self.site.limit_bytes))
        elif named[0] == FILE:
            raise bad_request("invalid_image_file", "image_file is no file: use a multipart form")
        else:
            await reception.receive_chunks("", decoded(text))

    async def answer(self, request: Request, ending: Ending, given: dict[str, str]) -> Response:
        """Return the result as their API does."""
        if ending.job.state is State.FAILED:
            raise bad_request("invalid_image_file", ending.job.reason)
        if ending.details.get("confidence", {}).get("is_blank"):
            raise bad_request("unknown_foreground", "no subject was found in the picture")
        stream, size = await self.cutouts.open(ending)
        headers = self.headers(ending, given)
        if "application/json" in request.headers.get("accept", ""):
            with stream:
                content = await self.site.run(stream.read)
            text = base64.b64encode(content).decode("ascii")
            return JSONResponse({"data": {"result_b64": text}}, headers=headers)
        headers |= file_headers(as_text(Path(ending.job.target.name)))
        headers["Content-Length"] = str(size)
        return StreamingResponse(self.cutouts.pictures.pieces(stream, size), headers=headers)

    def headers(self, ending: Ending, given: dict[str, str]) -> dict[str, str]:
        """Return the headers of an answer."""
        kind = given.get("type", "auto")
        headers = {
            "X-Width": str(ending.details.get("result_width", "")),
            "X-Height": str(ending.details.get("result_height", "")),
            "X-Type": "other" if kind == "auto" else kind,
            "X-Credits-Charged": "0",
            "X-RateLimit-Limit": str(self.room),
            "X-RateLimit-Remaining": str(self.room),
            "X-RateLimit-Reset": str(int(self.site.clock()) + 1),
        }
        ignored = [
            name for name in WITHOUT_EFFECT if given.get(name) not in (None, DEFAULTS.get(name))
        ]
        return headers | ({IGNORED: ", ".join(ignored)} if ignored else {})


FIELDS = frozenset({FILE})
#: What their clients expect, whatever `web.output` says.
NEUTRAL: Json = {
    "format": "png",
    "content": "cutout",
    "background": "none",
    "depth": "auto",
    "crop": "none",
    "crop_margin": 0.0,
    "crop_aspect": "none",
    "crop_canvas": "none",
}


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


def decoded(text: str) -> Iterator[bytes]:
    """Yield a picture that came as base64, with or without ``data:…;base64,`` before it."""
    head, comma, rest = text.partition(",")
    encoded = rest if comma and head.startswith("data:") else text
    try:
        content = base64.b64decode("".join(encoded.split()), validate=True)
    except ValueError as error:
        raise bad_request("invalid_image_file_b64", "image_file_b64 is no base64") from error
    for start in range(0, len(content), limits.CHUNK_BYTES):
        yield content[start : start + limits.CHUNK_BYTES]


def wanted(given: dict[str, str]) -> Json:
    """Return our options for their parameters; `Problem` for what is not offered."""
    asked: Json = dict(NEUTRAL)
    for name, value in given.items():
        try:
            asked |= READERS[name](value) if name in READERS else without_effect(name, value)
        except ValueError as error:
            raise bad_request(f"invalid_{name[:40]}", f"{name[:40]} {error}") from error
    asked.setdefault("max_megapixels", MEGAPIXELS["preview"])
    if given.get("format", "auto") == "auto" and asked["background"] != "none":
        asked["format"] = "jpeg"  # theirs is JPEG, too, where nothing is transparent
    if asked["crop"] == "none":
        asked["crop_margin"] = 0.0
    return asked


def without_effect(name: str, value: str) -> Json:
    """Accept what changes nothing; `ValueError` for anything else."""
    if name not in WITHOUT_EFFECT:
        raise ValueError("is unknown, or not offered here")
    if value.lower() not in WITHOUT_EFFECT[name]:
        allowed = WITHOUT_EFFECT[name]
        text = ", ".join(allowed) if len(allowed) < 10 else f"{allowed[0]} to {allowed[-1]}"
        raise ValueError(f"is not offered with this value; there are: {text}")
    return {}


def size(value: str) -> Json:
    """Read how large the result may be."""
    if value.lower() not in MEGAPIXELS:
        raise ValueError(f"has these values: {', '.join(MEGAPIXELS)}")
    return {"max_megapixels": MEGAPIXELS[value.lower()]}


def file_format(value: str) -> Json:
    """Read the result's format."""
    if value == "auto":
        return {}
    if value == "zip":
        raise ValueError("zip is not offered here: ask for png")
    if value not in FORMATS:
        raise ValueError("is auto, png, jpg or webp")
    return {"format": FORMATS[value]}


def channels(value: str) -> Json:
    """Read whether only the mask is wanted."""
    if value not in ("rgba", "alpha"):
        raise ValueError("is rgba or alpha")
    return {"content": "alpha" if value == "alpha" else "cutout"}


def truth(value: str) -> bool:
    """Read yes or no."""
    if value.lower() not in TRUE + FALSE:
        raise ValueError("is true or false")
    return value.lower() in TRUE


def margin(value: str) -> Json:
    """Read the space around the subject: a share of the subject's side, the same on all sides."""
    found = [MARGIN.fullmatch(one) for one in value.split()]
    if len(found) not in (1, 2, 4) or None in found:
        raise ValueError("has 1, 2 or 4 values such as 10%")
    amounts = {float(one[1]) for one in found if one is not None}
    in_pixels = any(one is not None and one[2] != "%" and float(one[1]) > 0 for one in found)
    if len(amounts) > 1 or in_pixels:
        raise ValueError("is offered in % here, the same on all sides")
    share = amounts.pop() / 100
    if share > MAX_MARGIN / 100:
        raise ValueError(f"is at most {MAX_MARGIN:g}%")
    return {"crop_margin": share / (1 + 2 * share)}  # ours is a share of the result's side


READERS: dict[str, Callable[[str], Json]] = {
    "size": size,
    "format": file_format,
    "channels": channels,
    "crop": lambda value: {"crop": "subject" if truth(value) else "none"},
    "crop_margin": margin,
    "bg_color": lambda value: {"background": colours.background(value)},
}
