"""``/api/v1/archives``: any pictures as one zip, which a browser fetches by a plain link.

A link cannot send a key. So the address itself is the secret: 24 random bytes, for an hour.
"""

import asyncio
import re
import secrets
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from daemon.disk import files, uploads
from daemon.jobs import State
from daemon.json_values import as_text, utc
from daemon.ledger.ledger import Drop, Ending
from daemon.portable_names import portable
from daemon.web.answers import file_headers
from daemon.web.bodies import json_fields
from daemon.web.drops import DropPages
from daemon.web.pictures import Pictures
from daemon.web.problems import Problem, bad_request, not_found
from daemon.web.site import Site
from daemon.web.zips import Member, free_name, send_zip

Json = dict[str, Any]  # Any: JSON
FOLDER = "/api/v1/archives/"
MAX_PICTURES = 10_000
BODY_BYTES = 4_000_000
LIFE_S = 3600.0
#: The one that was asked for first goes.
MAX_KEPT = 32
#: So many pictures are looked up before other requests have their turn.
AT_ONCE = 100
MAX_DEPTH = 20
PART_LETTERS = 200


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip that may be fetched."""

    name: str
    members: tuple[Member, ...]
    until: float
    """UTC seconds."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """One picture of a request."""

    upload_id: str
    folder: str
    """Where it lies in the zip; empty: at the top."""


class Archives:
    """Keeps what was asked for, in memory, until it is fetched or an hour has passed."""

    def __init__(self, site: Site, pictures: Pictures, pages: DropPages) -> None:
        self.site = site
        self.pictures = pictures
        self.pages = pages
        self.kept: OrderedDict[str, Archive] = OrderedDict()

    async def make(self, request: Request) -> Response:
        """Answer where a zip can be fetched."""
        asked = await json_fields(request, BODY_BYTES)
        for name in asked:
            if name not in ("pictures", "drop", "originals", "name"):
                raise bad_request(f"invalid_{name[:40]}", f"{name[:40]!r} is unknown")
        if ("pictures" in asked) == ("drop" in asked) or {"drop", "name"} <= set(asked):
            raise bad_request(
                "invalid_pictures", "name either pictures or a drop, which has its own name"
            )
        has_originals = asked.get("originals", False)
        if not isinstance(has_originals, bool):
            raise bad_request("invalid_originals", "originals is true or false")
        if "drop" in asked:
            name, found, missing = await self.of_drop(asked["drop"], has_originals=has_originals)
        else:
            name = name_of(asked.get("name", "pictures"))
            chosen = list(chosen_of(asked["pictures"]))
            found, missing = await self.of_pictures(chosen, has_originals=has_originals)
        archive = Archive(f"{name}.zip", tuple(found), self.site.clock() + LIFE_S)
        return JSONResponse(self.keep(archive) | {"missing": missing}, HTTPStatus.CREATED)

    async def of_drop(
        self, drop_id: object, *, has_originals: bool
    ) -> tuple[str, list[Member], int]:
        """Return the name of a drop, its files, and 0."""
        if isinstance(drop_id, float) and drop_id.is_integer():
            drop_id = int(drop_id)  # JSON has one kind of numbers
        if not isinstance(drop_id, int) or isinstance(drop_id, bool):
            raise bad_request("invalid_drop", "drop is the number of a drop")
        drop = self.pages.find(str(drop_id)).drop
        if not files.is_folder(drop.path):
            raise Problem(HTTPStatus.GONE, "gone", "the drop was deleted since")
        found = await self.site.run(self.pages.members, drop, has_originals=has_originals)
        return as_text(Path(drop.path.name)), found, 0

    async def of_pictures(
        self, chosen: list[Chosen], *, has_originals: bool
    ) -> tuple[list[Member], int]:
        """Return the files of uploads that are done, and how many pictures have none."""
        roots = self.site.reported.served_roots()
        found: list[Member] = []
        taken: set[str] = set()
        missing = 0
        for number, one in enumerate(chosen, 1):
            paths = self.paths_of(one, roots, has_originals=has_originals)
            missing += not paths
            found += [(path, free_name(place, taken)) for path, place in paths]
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        if not found:
            raise Problem(HTTPStatus.CONFLICT, "nothing_done", "none of these pictures is done")
        return found, missing

    def paths_of(
        self, chosen: Chosen, roots: frozenset[Path], *, has_originals: bool
    ) -> list[tuple[Path, PurePosixPath]]:
        """Return the files of one upload, each with its place in the zip; of drops in ``roots``."""
        try:
            ending = self.pictures.ending(chosen.upload_id)
        except Problem as problem:
            if problem.code != "not_found":
                raise
            return []
        if ending is None or ending.job.state is not State.DONE:
            return []
        drop = self.site.ledger.records.drop_of(ending.job)
        if drop.path.parent not in roots:
            return []
        return list(places(drop, ending, chosen.folder, has_originals=has_originals))

    def keep(self, archive: Archive) -> Json:
        """Keep a zip; return where it is."""
        now = self.site.clock()
        for token in [one for one, kept in self.kept.items() if kept.until < now]:
            del self.kept[token]
        while len(self.kept) >= MAX_KEPT:
            self.kept.popitem(last=False)
        token = secrets.token_urlsafe(24)
        self.kept[token] = archive
        return {
            "href": f"{FOLDER}{token}.zip",
            "expires_at": utc(archive.until),
            "files": len(archive.members),
        }

    async def fetch(self, request: Request) -> Response:
        """Answer a zip that is kept; it may be fetched again, for example after a broken line."""
        archive = self.kept.get(request.path_params["token"])
        if archive is None or archive.until < self.site.clock():
            raise not_found("there is no such zip: ask for a new one")
        headers = file_headers(archive.name, is_shown=False)
        if request.method == "HEAD":
            return Response(headers=headers)
        return StreamingResponse(send_zip(self.site, archive.members), headers=headers)


def chosen_of(asked: object) -> Iterator[Chosen]:
    """Yield the pictures of a request; `Problem` for what is none."""
    if not isinstance(asked, list) or not 1 <= len(asked) <= MAX_PICTURES:
        raise bad_request("invalid_pictures", f"pictures is a list of 1 to {MAX_PICTURES}")
    for one in asked:
        entry = {"id": one} if isinstance(one, str) else one
        if not isinstance(entry, dict) or not set(entry) <= {"id", "folder"}:
            raise bad_request("invalid_pictures", "a picture is an id, or has id and folder")
        upload_id, folder = entry.get("id"), entry.get("folder", "")
        if not isinstance(upload_id, str) or uploads.ID.fullmatch(upload_id) is None:
            raise bad_request("invalid_pictures", "a picture has an id of 22 digits")
        if not isinstance(folder, str):
            raise bad_request("invalid_pictures", "folder is a text")
        yield Chosen(upload_id, safe_folder(folder))


def safe_folder(text: str) -> str:
    """Return a path of folders for a zip: it cannot leave the folder where it is unpacked."""
    text = text.encode("utf-8", "replace").decode()
    parts = [portable(part)[:PART_LETTERS] for part in text.replace("\\", "/").split("/")]
    good = [part for part in parts if part.strip("._ ~")]
    if len(good) > MAX_DEPTH:
        raise bad_request("invalid_pictures", f"folder has at most {MAX_DEPTH} parts")
    return "/".join(good)


def name_of(text: object) -> str:
    """Return a name for the zip without its suffix."""
    if not isinstance(text, str):
        raise bad_request("invalid_name", "name is a text")
    return safe_folder(text.replace("/", "_"))[:PART_LETTERS] or "pictures"


def places(
    drop: Drop, ending: Ending, folder: str, *, has_originals: bool
) -> Iterator[tuple[Path, PurePosixPath]]:
    """Yield the files of a picture in its drop, each with its place in a zip."""
    job = ending.job
    own = (job.target, job.alpha) if ending.replaced_by is None else ()
    for path in own:
        if path is not None and path.is_relative_to(drop.path):
            yield path, PurePosixPath(folder, plain_name(path.name, job.relative.stem))
    original = job.archive if has_originals else None
    if original is not None and original.is_relative_to(drop.path):
        yield original, PurePosixPath("originals", folder, original.name)


def plain_name(name: str, stem: str) -> str:
    """Return a result's name without the version that it has only in its drop.

    There it lies beside results of other folders' pictures. ``stem``: of the original's name.
    """
    versioned = re.fullmatch(rf"{re.escape(stem)}_[0-9]{{1,4}}((?:_alpha)?\.[a-z]+)", name)
    return name if versioned is None else f"{stem}{versioned[1]}"
