"""Files of drops as answers: whole, or as thumbnails."""

import os
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from daemon.disk import files
from daemon.errors import UntrustedPath
from daemon.json_values import as_text
from daemon.web import limits
from daemon.web.answers import file_headers
from daemon.web.problems import Problem, not_found
from daemon.web.site import Site
from daemon.web.thumbnails import Thumbnails, tag_of


def open_file(path: Path) -> tuple[BinaryIO, int]:
    """Open a file of a drop, following no link; `Problem` if somebody has deleted it."""
    try:
        descriptor = files.open_if_regular(path)
    except UntrustedPath as error:
        raise not_found("a link has its place") from error
    except FileNotFoundError as error:
        raise gone() from error
    if descriptor is None:
        raise not_found("something else has its place")
    stream = os.fdopen(descriptor, "rb")  # closed by whoever sends it
    return stream, stream.seek(0, 2) + stream.seek(0)


async def send_file(site: Site, path: Path, *, is_shown: bool) -> Response:
    """Answer a file of a drop; ``is_shown``: a browser may show it."""
    stream, size = await site.run(open_file, path)
    headers = file_headers(as_text(Path(path.name)), is_shown=is_shown)
    headers["Content-Length"] = str(size)
    return StreamingResponse(pieces_of(site, stream, size), headers=headers)


async def pieces_of(site: Site, stream: BinaryIO, size: int) -> AsyncIterator[bytes]:
    """Yield an open file piece by piece, no more than was announced."""
    with stream:
        while size > 0:
            count = min(limits.CHUNK_BYTES, size)
            piece = await site.run(stream.read, count)
            if not piece:
                raise EOFError("the file has become shorter while it was sent")
            size -= len(piece)
            yield piece


async def send_thumbnail(
    request: Request, thumbnails: Thumbnails, path: Path, side_px: int, *, is_ours: bool
) -> Response:
    """Answer a small picture, or that the browser's copy is still right.

    It is a PNG, or WebP for clients that accept it by name. ``is_ours``: it is a result.
    """
    is_webp = "image/webp" in request.headers.get("accept", "")
    stream, _ = await thumbnails.site.run(open_file, path)
    with stream:
        tag = tag_of(stream, side_px, is_webp=is_webp)
        headers = {"Cache-Control": "private, no-cache", "ETag": tag, "Vary": "Accept, Origin"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        content = await thumbnails.of(path, stream, side_px, is_webp=is_webp, is_ours=is_ours)
    name = "thumbnail.webp" if is_webp else "thumbnail.png"
    return Response(content, headers=file_headers(name) | headers)


def gone() -> Problem:
    """Return the refusal of a file that was there."""
    return Problem(HTTPStatus.GONE, "gone", "the file was deleted or replaced since")
