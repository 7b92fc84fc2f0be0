"""``/api/v1/drops``: output folders, and each of them as a zip that is made while it is sent."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from daemon.disk import files, store
from daemon.jobs import State
from daemon.json_values import as_text, utc
from daemon.ledger.ledger import Drop, Ending
from daemon.ledger.records import Records
from daemon.web import redacted_manifests
from daemon.web.answers import file_headers
from daemon.web.pictures import entry_of
from daemon.web.problems import Problem, bad_request, not_found
from daemon.web.sending import open_file
from daemon.web.site import Site
from daemon.web.zips import Member, free_name, send_zip

Json = dict[str, Any]  # Any: JSON
MAX_LISTED = 200
LARGEST_ID = 2**63 - 1
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class FoundDrop:
    """A drop of the ledger."""

    drop: Drop
    closed_at: float | None


class DropPages:
    """Answers about drops."""

    def __init__(self, site: Site) -> None:
        self.site = site

    async def newest(self, request: Request) -> Response:
        """Answer the newest drops, a page at a time; what is about to be deleted is left out."""
        limit = number_of(request, "limit", default=50, most=MAX_LISTED)
        before = number_of(request, "before", default=None, most=LARGEST_ID)
        check_known(request, {"limit", "before"})
        assert limit is not None
        found = self.site.ledger.uploads.drops(limit=limit + 1, before=before)
        next_one = found[limit - 1][0].id if len(found) > limit else None
        roots = self.site.reported.served_roots()
        content = [
            self.summary(FoundDrop(drop, closed_at))
            for drop, closed_at in found[:limit]
            if drop.path.parent in roots and not self.site.is_ordered(delete_order(drop))
        ]
        return JSONResponse({"drops": content, "next": next_one})

    def find(self, text: str) -> FoundDrop:
        """Return a drop; `Problem` if there is none that may be served."""
        if (number := as_number(text, LARGEST_ID)) is None:
            raise not_found("there is no such drop")
        found = self.site.ledger.uploads.drop(number)
        if (
            found is None
            or not self.site.reported.serves(found[0].path)
            or self.site.is_ordered(delete_order(found[0]))
        ):
            raise not_found("there is no such drop: it was deleted, or never here")
        return FoundDrop(*found)

    def summary(self, found: FoundDrop) -> Json:
        """Return what is known of a drop without its pictures."""
        drop = found.drop
        return {
            "id": drop.id,
            "name": as_text(Path(drop.path.name)),
            "folder": drop.folder,
            "opened_at": utc(drop.opened_at),
            "closed_at": None if found.closed_at is None else utc(found.closed_at),
            "expires_at": self.expiry(found),
            "is_there": files.is_folder(drop.path),
            "counts": self.site.ledger.records.counts_of(drop),
            "href": f"/api/v1/drops/{drop.id}",
            "zip": f"/api/v1/drops/{drop.id}.zip",
        }

    def expiry(self, found: FoundDrop) -> str | None:
        """Return when retention deletes a drop; None as long as it takes pictures."""
        if found.closed_at is None:
            return None
        kept_s = self.site.reported.keep_days * DAY_S
        return utc(max(found.drop.opened_at, found.closed_at) + kept_s)

    async def describe(self, request: Request) -> Response:
        """Answer a drop with its pictures, as in its manifest; or the drop as a zip."""
        text = request.path_params["id"]
        if text.endswith(".zip"):
            return await self.zip(request, text.removesuffix(".zip"))
        check_known(request, set())
        found = self.find(text)
        summary, pictures = self.summary(found), await self.site.run(self.pictures, found.drop)
        content = b'%s,"pictures":[%s]}' % (as_json(summary)[:-1], pictures)
        return Response(content, media_type="application/json")

    def pictures(self, drop: Drop) -> bytes:
        """Return the entries of a drop's pictures as JSON, with commas between them.

        One at a time, because all threads wait while Python writes JSON.
        """
        return b",".join(as_json(self.picture(drop, one)) for one in self.endings(drop))

    def endings(self, drop: Drop) -> list[Ending]:
        """Return how the ended jobs of a drop ended; in another thread, as there may be many."""
        with closing(self.site.ledger.open_another()) as ledger:
            return Records(ledger).endings(drop)

    def picture(self, drop: Drop, ending: Ending) -> Json:
        """Return a picture's entry, and the id by which the API knows it, if it does."""
        upload = ending.job.upload
        return entry_of(self.site, drop, ending) | {"upload": None if upload is None else upload.id}

    async def zip(self, request: Request, text: str) -> Response:
        """Answer results and manifest of a drop; with ``originals=true`` also those."""
        check_known(request, {"originals"})
        has_originals = truth_of(request, "originals")
        drop = self.find(text).drop
        if not files.is_folder(drop.path):
            raise Problem(HTTPStatus.GONE, "gone", "the drop was deleted since")
        headers = file_headers(f"{as_text(Path(drop.path.name))}.zip", is_shown=False)
        if request.method == "HEAD":
            return Response(headers=headers)
        found = await self.site.run(self.members, drop, has_originals=has_originals)
        return StreamingResponse(send_zip(self.site, found), headers=headers)

    def members(self, drop: Drop, *, has_originals: bool) -> list[Member]:
        """Return the files of a drop for a zip; in another thread."""
        return zip_members(drop, members(drop, self.endings(drop), has_originals=has_originals))

    async def manifest(self, request: Request) -> Response:
        """Answer a drop's manifest, without paths of this machine."""
        check_known(request, set())
        drop = self.find(request.path_params["id"]).drop
        stream, _ = await self.site.run(open_file, drop.path / store.MANIFEST)
        content = await self.site.run(redacted_manifests.read, stream, self.site.redacted)
        if content is None:
            raise not_found("something else has its place")
        return Response(content, headers=file_headers(store.MANIFEST, is_shown=False))

    async def close(self, request: Request) -> Response:
        """Have a drop closed: the next picture opens another one."""
        found = self.find(request.path_params["id"])
        if found.closed_at is None:
            order = {"do": "close", "id": found.drop.id}
            await self.site.order(f"close-{found.drop.id}", order)
        return JSONResponse(self.summary(found), HTTPStatus.ACCEPTED)

    async def delete(self, request: Request) -> Response:
        """Have a drop deleted, with all its pictures; it is closed before."""
        check_known(request, set())
        found = self.find(request.path_params["id"])
        drop = found.drop
        order = {"do": "delete-drop", "id": drop.id, "opened_at": drop.opened_at}
        await self.site.order(delete_order(found.drop), order)
        return JSONResponse({"id": found.drop.id, "state": "deleting"}, HTTPStatus.ACCEPTED)


def as_json(content: Json) -> bytes:
    """Return an object as the API writes it."""
    return bytes(JSONResponse(content).body)


def delete_order(drop: Drop) -> str:
    """Return the name of the order that deletes a drop."""
    return f"delete-drop-{drop.id}"


def members(drop: Drop, endings: list[Ending], *, has_originals: bool) -> Iterator[Path]:
    """Yield paths in a drop, relative to it: only what the ledger knows, and the manifest."""
    for ending in endings:
        job = ending.job
        if job.state is not State.DONE:
            continue
        own = (job.target, job.alpha) if ending.replaced_by is None else ()
        for path in (*own, job.archive if has_originals else None):
            if path is not None and path.is_relative_to(drop.path):
                yield path.relative_to(drop.path)
    yield Path(store.MANIFEST)


def zip_members(drop: Drop, names: Iterable[Path]) -> list[Member]:
    """Return files of a drop, each with its name in a zip."""
    taken: set[str] = set()
    return [(drop.path / name, free_name(PurePosixPath(name), taken)) for name in names]


def as_number(text: str, most: int) -> int | None:
    """Return a number from 0 to ``most``; None for anything else, however long it is."""
    if not text.isascii() or not text.isdecimal() or len(text) > len(str(most)):
        return None
    return number if (number := int(text)) <= most else None


def number_of(request: Request, name: str, *, default: int | None, most: int) -> int | None:
    """Return a number of the query, at least 1; `Problem` for anything else."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (number := as_number(text, most)):
        raise bad_request(f"invalid_{name}", f"{name} is a number from 1 to {most}")
    return number


def truth_of(request: Request, name: str) -> bool:
    """Return a yes or no of the query, by default no."""
    text = request.query_params.get(name, "false")
    if text not in ("true", "false"):
        raise bad_request(f"invalid_{name}", f"{name} is true or false")
    return text == "true"


def check_known(request: Request, known: set[str]) -> None:
    """Refuse parameters that nobody reads."""
    for name in request.query_params:
        if name not in known:
            text = f"{name[:40]!r} is unknown; there are: {', '.join(sorted(known)) or 'none'}"
            raise bad_request(f"invalid_{name[:40]}", text)
