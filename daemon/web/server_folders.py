"""``/api/v1/server-folders``: folders on the server's disk, which the configuration allows.

Pictures in them are copied like uploads; the originals stay. Nothing outside is reached: names are
opened one below the other, and links are not followed.
"""

import errno
import os
import stat
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from daemon.disk import files, safe_open
from daemon.errors import UntrustedPath
from daemon.json_values import as_text
from daemon.watching.ignored_names import OTHER_FILES, is_never_taken
from daemon.web.drops import as_number, check_known, number_of
from daemon.web.pictures import Pictures, links, read_options
from daemon.web.problems import Problem, bad_request, not_found, too_large
from daemon.web.reception import Reception
from daemon.web.site import Site
from daemon.web.upload_ids import ids

Json = dict[str, Any]  # Any: JSON
MAX_LISTED = 1000
#: A folder with more names than this is listed only so far.
MAX_NAMES = 100_000
PATH_LETTERS = 4000


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies in a folder, by name; only what may be a picture."""

    folders: list[str]
    pictures: list[tuple[str, int]]
    """Names and bytes."""


class ServerFolders:
    """Lists allowed folders, and takes copies of pictures in them."""

    def __init__(self, site: Site, pictures: Pictures) -> None:
        self.site = site
        self.pictures = pictures

    async def all(self, request: Request) -> Response:
        """Answer the allowed folders, by number and the last part of their path."""
        roots = self.site.settings.server_folders
        content = [
            {"id": number, "name": as_text(Path(root.name))} for number, root in enumerate(roots)
        ]
        return JSONResponse({"folders": content})

    async def list(self, request: Request) -> Response:
        """Answer what lies in a folder, a page at a time."""
        check_known(request, {"path", "after", "limit"})
        root, parts = self.place(request)
        limit = number_of(request, "limit", default=MAX_LISTED, most=MAX_LISTED) or MAX_LISTED
        after = request.query_params.get("after", "")
        found = await self.site.run(listing, root, parts)
        rest = [one for one in found.pictures if one[0] > after]
        page = rest[:limit]
        return JSONResponse(
            {
                "path": "/".join(parts),
                "folders": found.folders,
                "pictures": [{"name": name, "bytes": size} for name, size in page],
                "total": len(found.pictures),
                "next": page[-1][0] if len(rest) > limit else None,
            }
        )

    async def take(self, request: Request) -> Response:
        """Take a copy of one picture; when this answers it is safe, like an upload."""
        asked = read_options(self.site, request, frozenset({"path"}))
        root, parts = self.place(request)
        if not parts or not is_shown(parts[-1], is_folder=False):
            raise bad_request("invalid_path", "path names no picture")
        self.site.check_room()
        stream = await self.site.run(open_picture, root, parts)
        with stream:
            if os.fstat(stream.fileno()).st_size > self.site.limit_bytes:
                raise too_large(self.site.limit_bytes)
            reception = Reception(self.site, asked, ids(self.site, request), frozenset(), 1)
            one = await reception.receive_file(request, parts[-1], stream)
        state = self.pictures.state_of(one.id)
        content = {"pictures": [{"id": one.id, "name": one.name, "state": state, **links(one.id)}]}
        return JSONResponse(content, HTTPStatus.ACCEPTED)

    def place(self, request: Request) -> tuple[Path, tuple[str, ...]]:
        """Return the allowed folder of a request, and the names below it."""
        roots = self.site.settings.server_folders
        number = as_number(request.path_params["id"], len(roots))
        if number is None or number >= len(roots):
            raise not_found("there is no such folder: see web.server_folders")
        return roots[number], names_of(request.query_params.get("path", ""))


def names_of(text: str) -> tuple[str, ...]:
    """Return the names of a path; `Problem` for one that could lead elsewhere."""
    parts = tuple(PurePosixPath(text).parts)
    is_odd = "\0" in text or len(text) > PATH_LETTERS or text.startswith("/")
    if is_odd or any(not is_shown(part, is_folder=True) for part in parts):
        raise bad_request("invalid_path", "path is one below the folder, without hidden names")
    try:
        os.fsencode(text)
    except UnicodeEncodeError as error:
        raise bad_request("invalid_path", "path is no text") from error
    return parts


def is_shown(name: str, *, is_folder: bool) -> bool:
    """Whether a name may be that of a picture, or of a folder of pictures."""
    if name in (".", "..") or is_never_taken(name):
        return False
    return is_folder or PurePosixPath(name).suffix.lower() not in OTHER_FILES


def listing(root: Path, parts: tuple[str, ...]) -> Listing:
    """Return what lies in a folder; `Problem` if it cannot be reached."""
    folders: list[str] = []
    pictures: list[tuple[str, int]] = []
    with (
        reached(),
        safe_open.folder(root) as top,
        safe_open.below(top, parts) as folder,
        os.scandir(folder) as found,
    ):
        for count, entry in enumerate(found):
            if count >= MAX_NAMES:
                break
            if not is_text(entry.name):
                continue
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode) and is_shown(entry.name, is_folder=True):
                folders.append(entry.name)
            elif stat.S_ISREG(status.st_mode) and is_shown(entry.name, is_folder=False):
                pictures.append((entry.name, status.st_size))
    return Listing(sorted(folders), sorted(pictures))


def is_text(name: str) -> bool:
    """Whether a name can be written in JSON and asked for again."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def open_picture(root: Path, parts: tuple[str, ...]) -> BinaryIO:
    """Open a regular file below a folder; `Problem` for anything else."""
    with (
        reached(),
        safe_open.folder(root) as top,
        safe_open.below(top, parts[:-1]) as folder,
    ):
        descriptor = files.open_regular_in(folder, parts[-1])
    if descriptor is None:
        raise not_found("there is no picture of that name")
    return os.fdopen(descriptor, "rb")


class reached:  # noqa: N801  # used like a function
    """A context: what cannot be reached is a `Problem`, and says no more than that."""

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, UntrustedPath):
            raise not_found("a link is on the way") from error
        if isinstance(error, OSError) and error.errno in UNREACHED:
            raise not_found("there is nothing of that name") from error
        if isinstance(error, PermissionError):
            text = "the server's user may not read it"
            raise Problem(HTTPStatus.NOT_FOUND, "not_readable", text) from error


UNREACHED = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO)
