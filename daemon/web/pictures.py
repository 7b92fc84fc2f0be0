"""``/api/v1/pictures``: upload, ask, fetch, delete, try again, judge."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from daemon.config import request_options as options
from daemon.config.request_options import BadOption, Options
from daemon.disk import files, quarantine_names, uploads
from daemon.jobs import Job, State
from daemon.json_values import as_text
from daemon.ledger.ledger import Drop, Ending
from daemon.lifecycle import late_changes, manifests
from daemon.renderings import Rendering
from daemon.web import limits, redacted_manifests
from daemon.web.problems import Problem, bad_request, not_found
from daemon.web.reception import Reception, query_of
from daemon.web.sending import gone, pieces_of, send_file, send_thumbnail
from daemon.web.site import Site
from daemon.web.thumbnails import SIDES_PX, Thumbnails
from daemon.web.upload_ids import ids

Json = dict[str, Any]  # Any: JSON
MAX_PICTURES = limits.MAX_PARTS
KINDS = ("result", "mask", "original", "thumbnail")


class Pictures:
    """Answers about single pictures."""

    def __init__(self, site: Site, thumbnails: Thumbnails) -> None:
        self.site = site
        self.thumbnails = thumbnails

    # --- in -------------------------------------------------------------------------------

    async def upload(self, request: Request) -> Response:
        """Take pictures; when this answers they are safe on the disk."""
        asked = read_options(self.site, request, frozenset({"name"}))
        await self.site.find_room()
        reception = Reception(self.site, asked, ids(self.site, request), frozenset(), MAX_PICTURES)
        async with reception:
            await reception.receive(request)
            check_no_fields(reception)
            await reception.publish()
            taken = [
                {"id": one.id, "name": one.name, "state": self.state_of(one.id), **links(one.id)}
                for one in reception.pictures
            ]
        place = f"/api/v1/pictures/{taken[0]['id']}"
        content = {"pictures": taken}
        return JSONResponse(content, HTTPStatus.ACCEPTED, headers={"Location": place})

    # --- questions ------------------------------------------------------------------------

    def ending(self, upload_id: str) -> Ending | None:
        """Return the newest row of an upload; None if it waits; `Problem` if it is unknown."""
        if uploads.ID.fullmatch(upload_id) is None or self.site.is_ordered(delete_order(upload_id)):
            raise not_found("there is no such picture")
        is_waiting = uploads.is_waiting(self.site.root, upload_id)
        if is_waiting and uploads.has_picture(self.site.root, upload_id):
            return None
        if is_waiting and not self.site.ledger.path.exists():
            return None
        found = self.site.ledger.uploads.newest(upload_id)
        if found is None and not is_waiting:
            raise not_found("there is no such picture: it was deleted, or never here")
        return found  # None: it is being claimed

    def state_of(self, upload_id: str) -> str:
        """Return the state of an upload."""
        found = self.ending(upload_id)
        return "waiting" if found is None else found.job.state.value

    async def describe(self, request: Request) -> Response:
        """Answer what is known of a picture."""
        upload_id = request.path_params["id"]
        return JSONResponse(self.document(upload_id, self.ending(upload_id)))

    def document(self, upload_id: str, found: Ending | None) -> Json:
        """Return what is known of a picture, ready for JSON."""
        content: Json = {"id": upload_id, **links(upload_id)}
        if found is None:
            return content | {"state": "waiting", "place": self.count_queued()}
        job = found.job
        content |= {
            "state": job.state.value,
            "name": as_text(Path(job.relative.name)),
            "drop": job.drop,
            "attempts": job.attempts,
        }
        if job.state is State.QUEUED:
            content["place"] = self.site.ledger.uploads.count_before(job)
        if job.state is State.RUNNING and job.clip:
            content |= progress_of(self.site.source.report(), job)
        if job.reason:
            content["reason"] = self.site.redacted(job.reason)
        if job.state in (State.DONE, State.FAILED):
            content["picture"] = entry_of(self.site, self.site.ledger.records.drop_of(job), found)
        if job.state is State.DONE:
            content["is_plain"] = self.is_plain(found)
        return content

    def is_plain(self, found: Ending) -> bool:
        """Whether a result is a PNG of the whole picture, transparent and without adjustments.

        The page paints on such a result.
        """
        upload, facts = found.job.upload, found.details
        made = (upload and upload.rendering) or self.site.reported.rendering
        size, whole = (
            [facts.get(f"{of}{one}") for one in ("width", "height")] for of in ("result_", "")
        )
        return made.is_plain and size == whole

    def count_queued(self) -> int:
        """Return how many pictures are queued before those that wait."""
        return self.site.ledger.uploads.count_queued() if self.site.ledger.path.exists() else 0

    # --- files ----------------------------------------------------------------------------

    async def fetch(self, request: Request) -> Response:
        """Answer a file of a picture that is done."""
        kind = request.url.path.rpartition("/")[2]
        job = self.done_job(request.path_params["id"])
        path = file_of(job, kind)
        if path is None:
            raise not_found(f"this picture has no {kind} of its own")
        self.check_served(job, path)
        if kind in SIDES_PX:
            return await send_thumbnail(
                request, self.thumbnails, path, SIDES_PX[kind], is_ours=True
            )
        return await send_file(self.site, path, is_shown=kind != "original")

    def pieces(self, stream: BinaryIO, size: int) -> AsyncIterator[bytes]:
        """Yield an open file piece by piece."""
        return pieces_of(self.site, stream, size)

    def done_job(self, upload_id: str) -> Job:
        """Return the job of a picture that is done; `Problem` for any other state."""
        found = self.ending(upload_id)
        state = "waiting" if found is None else found.job.state.value
        if found is None or found.job.state is not State.DONE:
            reason = "" if found is None else self.site.redacted(found.job.reason)
            detail = f"the picture is {state}" + (f": {reason}" if reason else "")
            raise Problem(HTTPStatus.CONFLICT, f"picture_{state}", detail)
        if found.replaced_by is not None:
            raise gone()
        return found.job

    def check_served(self, job: Job, path: Path) -> None:
        """Refuse a path outside of drops, whatever the ledger says."""
        drop = self.site.ledger.records.drop_of(job).path
        if not self.site.reported.serves(drop) or not path.is_relative_to(drop):
            raise not_found("its file is not in a drop")

    # --- orders ---------------------------------------------------------------------------

    async def delete(self, request: Request) -> Response:
        """Have a picture deleted, wherever it is."""
        upload_id = request.path_params["id"]
        self.ending(upload_id)
        await self.site.order(delete_order(upload_id), {"do": "delete", "id": upload_id})
        return JSONResponse({"id": upload_id, "state": "deleting"}, HTTPStatus.ACCEPTED)

    async def judge(self, request: Request) -> Response:
        """Have a picture tried again, or its review ended."""
        upload_id, verb = request.path_params["id"], request.url.path.rpartition("/")[2]
        found = self.ending(upload_id)
        state = "waiting" if found is None else found.job.state.value
        wanted = "failed" if verb == "retry" else "done"
        if found is None or state != wanted:
            text = f"the picture is {state}: only one that is {wanted} can be {VERBS[verb]}"
            raise Problem(HTTPStatus.CONFLICT, f"picture_{state}", text)
        check_original(found.job, verb)
        await order_judgement(self.site, found.job, verb)
        return JSONResponse({"id": upload_id, "order": verb}, HTTPStatus.ACCEPTED)


VERBS = {"retry": "tried again", "approve": "approved", "reject": "rejected"}


async def order_judgement(site: Site, job: Job, verb: str) -> None:
    """Have done what a person has decided; all addresses of a picture give the same order."""
    order: Json = {"do": verb, "job": job.id}
    if verb == "retry" and job.upload is not None:
        order = {"do": verb, "id": job.upload.id}
    if verb == "approve":  # a doubt that waits would be carried out after it
        await site.run(site.withdraw, f"doubt-{job.id}")
    await site.order(f"{verb}-{job.id}", order)


def check_original(job: Job, verb: str) -> None:
    """Refuse what the daemon could not do, because a picture's original is gone."""
    if verb == "reject":
        has_original = job.archive is not None and files.exists(job.archive)
    else:
        has_original = quarantine_names.holds(job.quarantine, job.id)
    if verb in ("reject", "retry") and not (job.is_kept or has_original):
        text = "its original is gone: it can only be deleted"
        raise Problem(HTTPStatus.CONFLICT, "no_original", text)


def entry_of(site: Site, drop: Drop, ending: Ending) -> Json:
    """Return a picture's entry in the manifest, without paths of this machine."""
    is_done = ending.job.state is State.DONE
    has_changed = is_done and late_changes.has_changed_after(ending.job)
    entry = manifests.picture(drop, ending, has_changed=has_changed)
    return redacted_manifests.redacted_entry(entry, site.redacted)


def progress_of(report: Json, job: Job) -> Json:
    """Return how far a clip has come by the daemon's report; empty if it does not say it yet."""
    clip = report.get("clips", {}).get(job.id)
    if clip is None:
        return {}
    names = ("frames", "total", "frames_per_s", "left_s")
    return {"progress": {name: clip[name] for name in names}}


def delete_order(upload_id: str) -> str:
    """Return the name of the order that deletes a picture."""
    return f"delete-{upload_id}"


def links(upload_id: str) -> Json:
    """Return where more is to be had."""
    return {"href": f"/api/v1/pictures/{upload_id}"}


def file_of(job: Job, kind: str) -> Path | None:
    """Return the path of a file of a finished job; None if it has none of this kind."""
    match kind:
        case "mask":
            return job.alpha
        case "original":
            return job.archive
        case _:
            return job.target


def read_options(
    site: Site, request: Request, others: frozenset[str], base: Rendering | None = None
) -> Options:
    """Return the options of a query; `Problem` for a wrong one. Of ``base`` see `checked`."""
    return checked(site, dict(query_of(request, others)), base)


def checked(site: Site, asked: Json, base: Rendering | None = None) -> Options:
    """Return options, checked against ``base``, or else the folder's rendering."""
    try:
        wanted = options.read(asked)
        options.apply(base or site.reported.rendering, wanted, site.settings.model_names)
    except BadOption as error:
        raise bad_request(f"invalid_{error.name[:40]}", str(error)) from error
    return wanted


def check_no_fields(reception: Reception) -> None:
    """Refuse fields of a form that nobody reads."""
    if reception.fields:
        name = reception.fields[0].name[:40]
        text = f"{name!r} is no picture: options stand in the query"
        raise bad_request("unknown_field", text)
