"""``POST /api/v1/pictures/{id}/versions``: the same original with other options, or touched up.

A version is a picture of its own, taken in like an upload: the earlier result stays.
"""

import struct
from http import HTTPStatus
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from daemon.disk import uploads
from daemon.disk.uploads import StagedMask
from daemon.jobs import Job
from daemon.json_values import as_text
from daemon.web.bodies import chunks
from daemon.web.pictures import Pictures, file_of, links, read_options
from daemon.web.problems import Problem, bad_request
from daemon.web.reception import Reception
from daemon.web.sending import open_file
from daemon.web.site import Site
from daemon.web.upload_ids import ids

PNG = "image/png"
SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Signature, length and name of the first chunk, width, height, bits, kind of colours.
HEAD = struct.Struct(">8sI4sIIBB")
GREY_ALPHA, RGB_ALPHA = 4, 6


class Versions:
    """Makes versions of pictures that are done."""

    def __init__(self, site: Site, pictures: Pictures) -> None:
        self.site = site
        self.pictures = pictures

    async def make(self, request: Request) -> Response:
        """Take a version in; when this answers it is safe on the disk."""
        upload_id = request.path_params["id"]
        job = self.pictures.done_job(upload_id)
        original = self.original_of(job)
        made = job.upload.rendering if job.upload else None
        asked = read_options(self.site, request, frozenset(), made)
        self.site.check_room()
        more = {"of": upload_id}
        mask = await self.receive_mask(request)
        if mask is not None:
            self.check_count(job)
            more["mask"] = mask
        stream, _ = await self.site.run(open_file, original)
        reception = Reception(self.site, asked, ids(self.site, request), frozenset(), 1, more=more)
        with stream:
            name = as_text(Path(job.relative.name))
            taken = await reception.receive_file(request, name, stream)
        content = {
            "id": taken.id,
            "name": taken.name,
            "state": self.pictures.state_of(taken.id),
            "version_of": upload_id,
            **links(taken.id),
        }
        headers = {"Location": f"/api/v1/pictures/{taken.id}"}
        return JSONResponse(content, HTTPStatus.ACCEPTED, headers=headers)

    def original_of(self, job: Job) -> Path:
        """Return where the original is kept; `Problem` if it is not."""
        path = file_of(job, "original")
        if path is None:
            text = "the original is not kept (originals), so no version can be made of it"
            raise Problem(HTTPStatus.CONFLICT, "no_original", text)
        self.pictures.check_served(job, path)
        return path

    def check_count(self, job: Job) -> None:
        """Refuse a touch-up too many."""
        made = job.upload.rendering if job.upload else None
        if made and len(made.touch_ups) >= uploads.MAX_TOUCH_UPS:
            text = (
                f"touched up {uploads.MAX_TOUCH_UPS} times already: begin with an earlier version"
            )
            raise Problem(HTTPStatus.CONFLICT, "too_many_touch_ups", text)

    async def receive_mask(self, request: Request) -> str | None:
        """Receive the body, a mask, durably; return its SHA-256, None for an empty body."""
        staged: StagedMask | None = None
        head = b""
        try:
            async for chunk in chunks(request, self.site.limit_bytes):
                if staged is None:
                    staged = await self.site.run(StagedMask, self.site.root, self.site.new_id())
                if len(head) < HEAD.size:
                    head += chunk[: HEAD.size - len(head)]
                await self.site.run(staged.write, chunk)
            if staged is None:
                return None
            check_mask(head)
            return await self.site.run(staged.publish)
        finally:
            if staged is not None:
                await self.site.run(staged.discard)


def check_mask(head: bytes) -> None:
    """Refuse what is no mask, by its first bytes; its pixels are read by the worker."""
    if len(head) < HEAD.size or not head.startswith(SIGNATURE):
        raise bad_request("invalid_mask", "the body is a mask as PNG, or empty")
    _, _, _, width, height, bits, kind = HEAD.unpack(head)
    if bits != 8 or kind not in (GREY_ALPHA, RGB_ALPHA):
        text = "a mask is a PNG of 8 bits with transparency, which says where it is painted"
        raise bad_request("invalid_mask", text)
    most = uploads.MASK_SIDE_PX
    if not (0 < width <= most and 0 < height <= most):
        raise bad_request("invalid_mask", f"a mask has at most {most}x{most} pixels")
