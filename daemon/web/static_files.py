"""The files of the page: read and compressed once, when the server starts."""

import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from daemon.web.problems import not_found

STATIC = Path(__file__).with_name("static")
#: What is shown at the address itself.
FIRST = "index.html"
#: Types that `mimetypes` may name otherwise, because it also reads tables of the machine.
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file, as it is and compressed."""

    kind: str
    plain: bytes
    compressed: bytes
    tag: str
    """For the header ETag; the same before and after compression, so it is a weak one."""

    @classmethod
    def of(cls, path: Path) -> "StaticFile":
        """Read a file."""
        plain = path.read_bytes()
        kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
        tag = f'W/"{hashlib.sha256(plain).hexdigest()[:24]}"'
        return cls(kind or "application/octet-stream", plain, gzip.compress(plain, mtime=0), tag)


class StaticFiles:
    """All files of the page. A name is looked up among them, so no path leads out."""

    def __init__(self, folder: Path = STATIC) -> None:
        """Read all files of ``folder``; `OSError` if one cannot be read."""
        self.files = {
            path.relative_to(folder).as_posix(): StaticFile.of(path)
            for path in folder.rglob("*")
            if path.is_file()
        }

    async def fetch(self, request: Request) -> Response:
        """Answer a file, or that the browser's copy is still right."""
        found = self.files.get(str(request.scope["path"]).removeprefix("/") or FIRST)
        if found is None:
            raise not_found("there is nothing at this address")
        # The browser asks each time, because the files change with the program.
        headers = {"Cache-Control": "no-cache", "ETag": found.tag, "Vary": "Accept-Encoding"}
        if found.tag in tags_of(request.headers.get("if-none-match", "")):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        headers["Content-Type"] = found.kind
        if not takes_gzip(request.headers.get("accept-encoding", "")):
            return Response(found.plain, headers=headers)
        return Response(found.compressed, headers=headers | {"Content-Encoding": "gzip"})


def tags_of(header: str) -> list[str]:
    """Return the tags of a header If-None-Match."""
    return [tag.strip() for tag in header.split(",")]


def takes_gzip(header: str) -> bool:
    """Whether a header Accept-Encoding allows gzip."""
    for part in header.lower().split(","):
        name, *parameters = (one.strip() for one in part.split(";"))
        if name in ("gzip", "*"):
            return not any(re.fullmatch(r"q\s*=\s*0(\.0*)?", one) for one in parameters)
    return False
