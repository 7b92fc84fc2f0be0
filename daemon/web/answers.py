"""Refusals as bytes, in the format of the API that was asked; headers for files."""

import json
from urllib.parse import quote

from daemon.web.problems import Problem, as_json

REMOVE_BG = "/v1.0/"
REMBG = "/api/remove"
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
}
#: Nothing in a picture of a stranger may run as a page of ours.
INERT = "default-src 'none'; sandbox"


def refusal(path: str, problem: Problem) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of a refusal."""
    kind = "application/json"
    if path.startswith(REMOVE_BG):
        fault = {"title": problem.detail, "code": problem.code}
        content: object = {"errors": [fault | {"detail": problem.detail}]}
    elif path == REMBG:
        content = {"detail": problem.detail}
    else:
        content, kind = as_json(problem), "application/problem+json"
    body = json.dumps(content).encode()
    return body, {
        "Content-Type": kind,
        "Content-Length": str(len(body)),
        **problem.headers,
    }


def file_headers(name: str, *, is_shown: bool = True) -> dict[str, str]:
    """Return headers for a file under a name that may hold any letters."""
    suffix = f".{name.rpartition('.')[2].lower()}"
    kind = TYPES.get(suffix, "application/octet-stream")
    way = "inline" if is_shown and kind.startswith("image/") else "attachment"
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
