"""rembg's API, ``/api/remove``: each of its parameters does what it says, or is refused."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from daemon.jobs import State
from daemon.json_values import as_text
from daemon.web.answers import file_headers
from daemon.web.arranger import Arranger
from daemon.web.cutouts import Cutouts
from daemon.web.fetching import fetch, refused
from daemon.web.pictures import checked
from daemon.web.problems import bad_request
from daemon.web.reception import Reception
from daemon.web.removebg import IGNORED, only_once
from daemon.web.removebg_parameters import NEUTRAL, PLAIN, WHOLE_CUTOUT, Wanted, truth
from daemon.web.site import Site

Json = dict[str, Any]  # Any: JSON
FIELDS = frozenset({"file"})
#: Their networks that do what ours does: cut out whatever is in front.
GENERAL_MODELS = (
    *("u2net", "u2netp", "silueta", "isnet-general-use", "bria-rmbg", "ben2-base"),
    *("birefnet-general", "birefnet-general-lite", "birefnet-massive", "birefnet-hrsod"),
    *("birefnet-dis", "birefnet-cod"),
)
LEVELS = range(256)
OPAQUE = 255


class Rembg:
    """Answers like rembg's server."""

    def __init__(self, site: Site, cutouts: Cutouts, arranger: Arranger) -> None:
        self.site = site
        self.cutouts = cutouts
        self.arranger = arranger

    async def remove(self, request: Request) -> Response:
        """Cut out the picture of a form (POST) or of a URL (GET)."""
        async with self.cutouts.place_to_wait():
            reception = Reception(
                self.site, checked(self.site, {}), lambda number: self.site.new_id(), FIELDS, 1
            )
            reception.is_waited_for = True
            async with reception:
                asked, ignored = await self.receive(request, reception)
                reception.options = checked(self.site, asked.options)
                await reception.publish()
                upload_id = reception.pictures[0].id
            ending = await self.cutouts.result_of(request, upload_id)
        if ending.job.state is State.FAILED:
            raise bad_request("invalid_file", self.site.redacted(ending.job.reason))
        stream, size = await self.cutouts.open(ending)
        headers = file_headers(as_text(Path(ending.job.target.name)))
        if ignored:
            headers[IGNORED] = ", ".join(ignored)
        if asked.arrangement is not None:
            with stream:
                made = await self.arranger.arrange(
                    stream, asked.arrangement, None, code="invalid_bgc"
                )
            stream, size = made.stream, made.size
        headers["Content-Length"] = str(size)
        return StreamingResponse(self.cutouts.pictures.pieces(stream, size), headers=headers)

    async def receive(self, request: Request, reception: Reception) -> tuple[Wanted, list[str]]:
        """Receive picture and parameters; return them as `wanted` does."""
        given = only_once(list(request.query_params.multi_items()))
        if request.method == "POST":
            await reception.receive_parts(request)
            pairs = [(one.name, one.value) for one in reception.fields]
            found = wanted(only_once([*given.items(), *pairs]), self.site.settings.model_names)
        else:
            url = given.pop("url", None)
            found = wanted(given, self.site.settings.model_names)
            if url is None:
                raise bad_request("invalid_url", "url is missing")
            if not self.site.settings.web.fetch_urls:
                raise refused("url")
            content = fetch(url, self.site.limit_bytes, code="invalid_url")
            await reception.receive_chunks("", self.site.pieces(content, is_remote=True))
        reception.check_not_empty()
        return found


def wanted(given: dict[str, str], models: Collection[str] = ()) -> tuple[Wanted, list[str]]:
    """Return what to do for their parameters, and which of them change nothing here.

    ``models``: names of ours.
    """
    asked: Json = dict(NEUTRAL)
    ignored = []
    for name, value in given.items():
        try:
            is_ours = name == "model" and value in models
            found = {"model": value} if is_ours else read(name, value)
        except ValueError as error:
            raise bad_request(f"invalid_{name[:40]}", f"{name[:40]} {error}") from error
        asked |= found or {}
        if found is None:
            ignored.append(name)
    colour = asked.pop("colour", None)
    if colour is None or colour[3] == 0 or asked["content"] == "alpha":
        return Wanted(asked), sorted(ignored)
    if colour[3] == OPAQUE:
        asked["background"] = "#{:02x}{:02x}{:02x}".format(*colour[:3])
        return Wanted(asked), sorted(ignored)
    own = {"model": asked["model"]} if "model" in asked else {}
    arrangement = PLAIN | {"colour": colour, "format": "png"}
    return Wanted(WHOLE_CUTOUT | own, arrangement), sorted(ignored)


def read(name: str, value: str) -> Json | None:
    """Return options for a parameter; None if it changes nothing, `ValueError` if it is wrong."""
    if name not in READERS:
        raise ValueError(f"is unknown; there are: {', '.join(READERS)}")
    found: Json | None = READERS[name](value)
    return found


def model(value: str) -> Json | None:
    """Accept networks of the same purpose: ours takes their place."""
    if value in GENERAL_MODELS:
        return None
    raise ValueError(
        f"is not offered; accepted are names of models: and {', '.join(GENERAL_MODELS)}"
    )


def matting(value: str) -> Json | None:
    """Accept: edges are always matted here."""
    return None if truth(value) else {}


def number(largest: int) -> Any:
    """Return a reader of a number that changes nothing here."""

    def read(value: str) -> Json | None:
        if not value.isdecimal() or int(value) > largest:
            raise ValueError(f"is a number from 0 to {largest}")
        return None

    return read


def background(value: str) -> Json:
    """Read red, green, blue and alpha, each 0 to 255."""
    parts = [part.strip() for part in value.split(",")]
    if len(parts) != 4 or not all(part.isdecimal() and int(part) in LEVELS for part in parts):
        raise ValueError("has four numbers from 0 to 255: red,green,blue,alpha")
    return {"colour": [int(part) for part in parts]}


def extras(value: str) -> Json:
    """Accept JSON that asks for nothing: extras are for a network that is asked by points."""
    try:
        wishes = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ValueError("is no JSON") from error
    if wishes:
        name = next(iter(wishes)) if isinstance(wishes, dict) else value
        text = f"with {str(name)[:40]!r} is not offered: the subject is found without points"
        raise ValueError(text)
    return {}


READERS = {
    "model": model,
    "a": matting,
    "af": number(255),
    "ab": number(255),
    "ae": number(1000),
    "om": lambda value: {"content": "alpha" if truth(value) else "cutout"},
    "ppm": matting,
    "bgc": background,
    "extras": extras,
}
