"""``/api/v1/drops/{id}/pictures/{job}``: pictures of all hot folders, also dropped ones."""

from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from daemon.disk import uploads
from daemon.jobs import Job, State
from daemon.json_values import as_text
from daemon.ledger.ledger import Drop, Ending
from daemon.web.drops import DropPages, check_known, truth_of
from daemon.web.pictures import (
    check_original,
    delete_order,
    entry_of,
    links,
    order_judgement,
    read_options,
)
from daemon.web.problems import Problem, not_found, too_large
from daemon.web.reception import Reception
from daemon.web.sending import gone, open_file, send_file, send_thumbnail
from daemon.web.site import Site
from daemon.web.thumbnails import SIDES_PX, Thumbnails
from daemon.web.upload_ids import ids

Json = dict[str, Any]  # Any: JSON
OF_ORIGINAL = "original-"
#: Files of a picture, and small pictures of its result and of its original.
KINDS = ("result", "mask", "original", *SIDES_PX, *(f"{OF_ORIGINAL}{one}" for one in SIDES_PX))
#: What a person may decide, and the state that a picture needs for it.
VERBS = {
    "approve": State.DONE,
    "doubt": State.DONE,
    "reject": State.DONE,
    "retry": State.FAILED,
}


@dataclass(frozen=True, slots=True)
class Found:
    """An ended picture of a drop that is served."""

    drop: Drop
    ending: Ending

    @property
    def job(self) -> Job:
        """Return its row."""
        return self.ending.job


class DropPictures:
    """Answers about single pictures of drops."""

    def __init__(self, site: Site, pages: DropPages, thumbnails: Thumbnails) -> None:
        self.site = site
        self.pages = pages
        self.thumbnails = thumbnails

    def find(self, request: Request) -> Found:
        """Return the picture of a path; `Problem` if there is none."""
        drop = self.pages.find(request.path_params["id"]).drop
        job_id = request.path_params["job"]
        if uploads.ID.fullmatch(job_id) is None:
            raise not_found("there is no such picture")
        job = self.site.ledger.records.job(job_id)
        if job is None or job.drop != drop.id or self.is_deleted(job):
            raise not_found("there is no such picture: it was deleted, or never here")
        if job.state not in (State.DONE, State.FAILED):
            text = f"the picture is {job.state.value}: ask again when it has ended"
            raise Problem(HTTPStatus.CONFLICT, f"picture_{job.state.value}", text)
        return Found(drop, self.site.ledger.records.ending(job_id))

    def is_deleted(self, job: Job) -> bool:
        """Whether an order to delete a picture waits for the daemon."""
        names = [f"delete-{job.id}", f"delete-drop-{job.drop}"]
        if job.upload is not None:
            names.append(delete_order(job.upload.id))
        return any(map(self.site.is_ordered, names))

    async def describe(self, request: Request) -> Response:
        """Answer what is known of a picture."""
        check_known(request, set())
        found = self.find(request)
        return JSONResponse(document(self.site, found.drop, found.ending))

    # --- files ----------------------------------------------------------------------------

    async def fetch(self, request: Request) -> Response:
        """Answer one of its files, or a small picture of one."""
        kind = request.url.path.rpartition("/")[2]
        found = self.find(request)
        path = self.path_of(found, kind)
        side_px = SIDES_PX.get(kind.removeprefix(OF_ORIGINAL))
        if side_px is not None:
            is_ours = not kind.startswith(OF_ORIGINAL)
            return await send_thumbnail(request, self.thumbnails, path, side_px, is_ours=is_ours)
        return await send_file(self.site, path, is_shown=kind != "original")

    def path_of(self, found: Found, kind: str) -> Path:
        """Return the path of a file; `Problem` if the picture has none of this kind."""
        job, is_of_original = found.job, kind.startswith("original")
        if job.state is not State.DONE:
            raise wrong_state(job, "done")
        if found.ending.replaced_by is not None and not is_of_original:
            raise gone()
        path = job.target
        if is_of_original:
            path = job.archive or path
        elif kind == "mask":
            path = job.alpha or path
        if path == job.target and (is_of_original or kind == "mask"):
            raise not_found(f"this picture has no {kind} of its own")
        if not path.is_relative_to(found.drop.path):
            raise not_found("its file is not in a drop")
        return path

    # --- orders ---------------------------------------------------------------------------

    async def delete(self, request: Request) -> Response:
        """Have a picture deleted, with all that was made of it."""
        check_known(request, set())
        job = self.find(request).job
        if job.upload is None:
            await self.site.order(f"delete-{job.id}", {"do": "delete", "job": job.id})
        else:
            order = {"do": "delete", "id": job.upload.id}
            await self.site.order(delete_order(job.upload.id), order)
        return JSONResponse({"id": job.id, "state": "deleting"}, HTTPStatus.ACCEPTED)

    async def judge(self, request: Request) -> Response:
        """Have done what a person has decided.

        With ``doubtful=true`` a result must still be for review: another person may have judged it.
        """
        check_known(request, {"doubtful"})
        verb, is_sure = request.url.path.rpartition("/")[2], not truth_of(request, "doubtful")
        found = self.find(request)
        self.check_possible(found, verb, is_doubt_needed=not is_sure or verb == "approve")
        await order_judgement(self.site, found.job, verb)
        return JSONResponse({"id": found.job.id, "order": verb}, HTTPStatus.ACCEPTED)

    async def version(self, request: Request) -> Response:
        """Take the original in once more, like an upload, with the options of the query.

        So a dropped picture can be cut out by another model, or touched up.
        """
        asked = read_options(self.site, request, frozenset())
        path = self.path_of(self.find(request), "original")
        self.site.check_room()
        stream, size = await self.site.run(open_file, path)
        with stream:
            if size > self.site.limit_bytes:
                raise too_large(self.site.limit_bytes)
            reception = Reception(self.site, asked, ids(self.site, request), frozenset(), 1)
            taken = await reception.receive_file(request, as_text(Path(path.name)), stream)
        content = {"id": taken.id, "name": taken.name, **links(taken.id)}
        return JSONResponse(content, HTTPStatus.ACCEPTED)

    def check_possible(self, found: Found, verb: str, *, is_doubt_needed: bool) -> None:
        """Refuse what the daemon could not do."""
        job = found.job
        if job.state is not VERBS[verb]:
            raise wrong_state(job, VERBS[verb].value)
        if found.ending.replaced_by is not None:
            raise gone()
        if is_doubt_needed and job.state is State.DONE and not is_doubtful(self.site, job):
            text = "the picture is not for review any more: somebody has judged it"
            raise Problem(HTTPStatus.CONFLICT, "already_judged", text)
        check_original(job, verb)


def is_doubtful(site: Site, job: Job) -> bool:
    """Whether a result is for review, by the judgements that wait for the daemon, too.

    It carries them out by name: an approval, then the doubt that takes it back, then a rejection.
    """
    if job.state is not State.DONE or site.is_ordered(f"reject-{job.id}"):
        return False
    if site.is_ordered(f"doubt-{job.id}"):
        return True
    return job.review is not None and not site.is_ordered(f"approve-{job.id}")


def wrong_state(job: Job, wanted: str) -> Problem:
    """Return the refusal of what needs another state."""
    text = f"the picture is {job.state.value}: only one that is {wanted} can be used so"
    return Problem(HTTPStatus.CONFLICT, f"picture_{job.state.value}", text)


def document(site: Site, drop: Drop, ending: Ending) -> Json:
    """Return a picture's entry in the manifest, and where the API has its files."""
    job = ending.job
    return entry_of(site, drop, ending) | {
        "upload": None if job.upload is None else job.upload.id,
        "name": as_text(Path(job.relative.name)),
        "folder": drop.folder,
        "drop": drop.id,
        "is_doubtful": job.review is not None,
        "href": f"/api/v1/drops/{drop.id}/pictures/{job.id}",
    }
