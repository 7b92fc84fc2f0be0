"""``/api/v1/pictures`` by GET: a search through all hot folders; and states of many uploads."""

import re
from contextlib import closing
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from daemon.disk import files, uploads
from daemon.jobs import Job, State
from daemon.ledger.history import History, Wanted
from daemon.ledger.ledger import Drop, Ending
from daemon.web.drop_pictures import DropPictures, document, is_doubtful
from daemon.web.drops import LARGEST_ID, check_known, number_of
from daemon.web.pictures import Pictures, links
from daemon.web.problems import Problem, bad_request
from daemon.web.site import Site

Json = dict[str, Any]  # Any: JSON
STATES = ("done", "failed", "doubtful")
MAX_LISTED = 200
TEXT_LETTERS = 200
FOLDER_LETTERS = 100
#: So many identifiers fit into the head of a request.
MAX_IDS = 400
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class HistoryPages:
    """Answers about many pictures at once."""

    def __init__(self, site: Site, pictures: Pictures, drop_pictures: DropPictures) -> None:
        self.site = site
        self.pictures = pictures
        self.drop_pictures = drop_pictures

    async def search(self, request: Request) -> Response:
        """Answer ended pictures, the newest first, a page at a time."""
        check_known(request, {"text", "state", "folder", "drop", "before", "limit"})
        limit = number_of(request, "limit", default=50, most=MAX_LISTED) or MAX_LISTED
        wanted = wanted_of(request)
        if not self.site.ledger.path.exists():
            return JSONResponse({"pictures": [], "next": None, "doubtful": 0})
        found, doubtful = await self.site.run(self.ask, wanted, limit + 1)
        next_one = found[limit - 1].job.id if len(found) > limit else None
        content = list(self.entries(found[:limit], wanted))
        return JSONResponse({"pictures": content, "next": next_one, "doubtful": doubtful})

    def ask(self, wanted: Wanted, limit: int) -> tuple[list[Ending], int]:
        """Ask the ledger by a connection of its own, because a search may take a while."""
        with closing(self.site.ledger.open_another()) as ledger:
            history = History(ledger)
            return history.search(wanted, limit=limit), history.count_doubtful()

    def entries(self, found: list[Ending], wanted: Wanted) -> list[Json]:
        """Return what is shown; pictures that are about to be deleted or judged are left out."""
        roots = self.site.reported.served_roots()
        drops: dict[int, Drop | None] = {}
        content = []
        for ending in found:
            job = ending.job
            if job.drop not in drops:
                known = self.site.ledger.uploads.drop(job.drop)
                drops[job.drop] = None if known is None else known[0]
            drop = drops[job.drop]
            if drop is None or drop.path.parent not in roots:
                continue  # deleted since the search, or of a folder that is not configured any more
            if self.drop_pictures.is_deleted(job) or is_deleted_kept(job):
                continue
            if wanted.state == "doubtful" and not is_doubtful(self.site, job):
                continue
            content.append(document(self.site, drop, ending))
        return content

    async def states(self, request: Request) -> Response:
        """Answer the states of many uploads; one that is not known is ``unknown``."""
        check_known(request, {"ids"})
        ids = request.query_params.get("ids", "").split(",")
        if len(ids) > MAX_IDS or not all(map(uploads.ID.fullmatch, ids)):
            text = f"ids are 1 to {MAX_IDS} ids of pictures, with commas between them"
            raise bad_request("invalid_ids", text)
        return JSONResponse({"pictures": list(map(self.state, ids))})

    def state(self, upload_id: str) -> Json:
        """Return what is known of one upload."""
        try:
            return self.pictures.document(upload_id, self.pictures.ending(upload_id))
        except Problem as problem:
            if problem.code != "not_found":
                raise
            return {"id": upload_id, **links(upload_id), "state": "unknown"}


def is_deleted_kept(job: Job) -> bool:
    """Whether only the row is left: that of a kept original stays when its result is deleted."""
    return job.is_kept and job.state is State.DONE and not files.exists(job.target)


def wanted_of(request: Request) -> Wanted:
    """Return what a query asks for; `Problem` for a wrong value."""
    query = request.query_params
    text, state, before = query.get("text"), query.get("state"), query.get("before")
    if text is not None and (len(text) > TEXT_LETTERS or CONTROL.search(text)):
        raise bad_request("invalid_text", f"text has at most {TEXT_LETTERS} letters")
    if state is not None and state not in STATES:
        raise bad_request("invalid_state", f"state is one of {', '.join(STATES)}")
    if before is not None and uploads.ID.fullmatch(before) is None:
        raise bad_request("invalid_before", "before is the id of a picture, as in `next`")
    folder = query.get("folder")
    if folder is not None and (len(folder) > FOLDER_LETTERS or CONTROL.search(folder)):
        raise bad_request("invalid_folder", f"folder has at most {FOLDER_LETTERS} letters")
    drop = number_of(request, "drop", default=None, most=LARGEST_ID)
    return Wanted(text=text, state=state, folder=folder, drop=drop, before=before)
