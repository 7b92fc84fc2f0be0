"""Refusals as bytes, in the format of the API that was asked; headers for files."""

import json
from http import HTTPStatus
from urllib.parse import quote

from daemon.web.problems import Problem, as_json

REMOVE_BG = "/v1.0/"
REMBG = "/api/remove"
#: Where their API has another status.
REMOVE_BG_STATUS = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED: HTTPStatus.FORBIDDEN,
}
#: Only what a browser shows as a picture and cannot run.
TYPES = {
    ".png": "image/png",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".json": "application/json",
    ".zip": "application/zip",
    ".webm": "video/webm",
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
}
#: Nothing in a picture of a stranger may run as a page of ours.
INERT = "default-src 'none'; sandbox"


def refusal(path: str, problem: Problem) -> tuple[HTTPStatus, bytes, dict[str, str]]:
    """Return status, body and headers of a refusal."""
    kind, status = "application/json", problem.status
    if path.startswith(REMOVE_BG):
        fault = {"title": problem.detail, "code": problem.code, "detail": problem.detail}
        content: object = {"errors": [fault]}
        status = REMOVE_BG_STATUS.get(status, status)
    elif path == REMBG and problem.code.startswith("invalid_"):
        name = problem.code.removeprefix("invalid_")
        fault = {"type": "value_error", "msg": problem.detail}
        content = {"detail": [fault | {"loc": ["body", name]}]}
        status = HTTPStatus.UNPROCESSABLE_ENTITY
    elif path == REMBG:
        content = {"detail": problem.detail}
    else:
        content, kind = as_json(problem), "application/problem+json"
    body = json.dumps(content).encode()
    headers = {"Content-Type": kind, "Content-Length": str(len(body)), **problem.headers}
    return status, body, headers


def file_headers(name: str, *, is_shown: bool = True) -> dict[str, str]:
    """Return headers for a file under a name that may hold any letters."""
    suffix = f".{name.rpartition('.')[2].lower()}"
    kind = TYPES.get(suffix, "application/octet-stream")
    way = "inline" if is_shown and kind.startswith(("image/", "video/")) else "attachment"
    plain = "".join(
        letter if letter.isascii() and letter.isprintable() and letter not in '"\\%' else "_"
        for letter in name
    )
    encoded = quote(name.encode("utf-8", "replace"), safe="")
    return {
        "Content-Type": kind,
        "Content-Disposition": f"{way}; filename=\"{plain}\"; filename*=UTF-8''{encoded}",
        "Content-Security-Policy": INERT,
    }
