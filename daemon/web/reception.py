"""Receives the pictures of one request: all of them, or none."""

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, BinaryIO

from starlette.requests import Request

from daemon.config.request_options import Options, chosen
from daemon.disk import uploads
from daemon.disk.uploads import Staged
from daemon.lifecycle import waited_clips
from daemon.web import limits
from daemon.web.bodies import chunks, kind_of
from daemon.web.multipart import (
    Field,
    FileBegin,
    FileBytes,
    FileEnd,
    FormParser,
    Parser,
    Part,
    Readers,
)
from daemon.web.names import safe_name
from daemon.web.problems import Problem, bad_request
from daemon.web.site import Site
from daemon.web.upload_ids import MakeId

FORM = "multipart/form-data"
OUR_FIELDS = frozenset({"image"})


@dataclass
class Picture:
    """One picture that has come, or comes."""

    staged: Staged
    name: str
    digest: "hashlib._Hash"
    is_again: bool = False
    """It was taken before, under the same Idempotency-Key."""
    size: int = 0

    @property
    def id(self) -> str:
        """Return the upload's id."""
        return self.staged.id

    def add(self, chunk: bytes) -> None:
        """Hash bytes and write them; not in the thread of the event loop."""
        self.size += len(chunk)
        self.digest.update(chunk)
        self.staged.write(chunk)


@dataclass
class Reception:
    """A context: whatever was not published when it ends leaves no trace."""

    site: Site
    options: Options
    make_id: MakeId
    allowed: frozenset[str]
    """Names of fields that hold a picture; any if empty."""
    max_pictures: int
    pictures: list[Picture] = field(default_factory=list)
    fields: list[Field] = field(default_factory=list)

    more: dict[str, Any] = field(default_factory=dict)  # Any: JSON
    """What else stands in the note of each picture: of what it is a version."""
    side_fields: frozenset[str] = frozenset()
    """Names of fields that hold a file which is not cut out, one of each."""
    side_files: dict[str, BinaryIO] = field(default_factory=dict)
    """Such files, without a name on the disk."""
    beside: BinaryIO | None = None
    """The one that comes now."""
    is_waited_for: bool = False
    """The client waits for the result."""
    has_key: bool = False
    """The ids were known before: the same pictures may have come already."""

    async def __aenter__(self) -> "Reception":
        return self

    async def __aexit__(self, *error: object) -> None:
        for picture in self.pictures:
            self.site.receiving.discard(picture.id)
            picture.staged.discard()
        for stream in self.side_files.values():
            stream.close()

    async def receive(self, request: Request) -> None:
        """Receive a form, or a body that is the picture itself."""
        self.has_key = "idempotency-key" in request.headers
        if kind_of(request) == FORM:
            await self.receive_parts(request)
        else:
            await self.begin(request.query_params.get("name", ""))
            async for chunk in chunks(request, self.site.limit_bytes):
                await self.add(chunk)
        self.check_not_empty()

    async def receive_parts(self, request: Request, readers: Readers | None = None) -> None:
        """Receive a form, which may be without a picture; of ``readers`` see `FormParser`."""
        if kind_of(request) != FORM:
            raise bad_request("invalid_form", "send a multipart form")
        files = (self.allowed or OUR_FIELDS) | self.side_fields
        form = FormParser(request.headers["content-type"], files=files, readers=readers)
        await self.receive_form(request, form)

    async def receive_chunks(self, name: str, content: AsyncIterator[bytes]) -> None:
        """Receive one picture from somewhere else than the request's body."""
        await self.begin(name)
        async for chunk in content:
            await self.add(chunk)

    async def receive_file(self, request: Request, name: str, stream: BinaryIO) -> Picture:
        """Take in a copy of an open file of the server; when this returns it is safe on the disk.

        `Problem` if it is empty.
        """
        self.has_key = "idempotency-key" in request.headers
        async with self:
            content = iter(partial(stream.read, limits.CHUNK_BYTES), b"")
            await self.receive_chunks(name, self.site.pieces(content))
            self.check_not_empty()
            await self.publish()
            return self.pictures[0]

    async def receive_form(self, request: Request, parser: Parser) -> None:
        """Receive all parts of a form, or of another body that is parsed as it comes."""
        async for chunk in chunks(request, self.site.limit_bytes):
            for part in parser.feed(chunk):
                await self.receive_part(part)
        parser.finish()

    async def receive_part(self, part: Part) -> None:
        """Receive a field, or a piece of a file."""
        match part:
            case Field():
                self.fields.append(part)
            case FileBegin(name, _) if name in self.side_fields:
                self.beside = await self.begin_beside(name)
            case FileBegin(name, filename):
                self.check_field(name)
                await self.begin(filename)
            case FileBytes(content) if self.beside is not None:
                await self.site.run(self.beside.write, content)
            case FileBytes(content):
                await self.add(content)
            case FileEnd():
                self.beside = None

    async def begin_beside(self, name: str) -> BinaryIO:
        """Begin a file that is not cut out; its bytes are gone with its last descriptor."""
        if name in self.side_files:
            raise bad_request(f"invalid_{name}", f"{name} stands twice")
        stream = await self.site.run(uploads.nameless, self.site.root)
        self.side_files[name] = stream
        return stream

    async def receive_beside(self, name: str, content: AsyncIterator[bytes]) -> None:
        """Receive such a file from somewhere else than the request's body."""
        stream = await self.begin_beside(name)
        async for chunk in content:
            await self.site.run(stream.write, chunk)

    def take_beside(self, name: str) -> BinaryIO | None:
        """Return such a file, which is the caller's to close; None if none has come."""
        return self.side_files.pop(name, None)

    def check_field(self, name: str) -> None:
        """Refuse a file in an unknown field: it would be lost."""
        if self.allowed and name not in self.allowed:
            wanted = ", ".join(sorted(self.allowed))
            raise bad_request("unknown_field", f"a file in field {name[:40]!r}; known: {wanted}")

    async def begin(self, filename: str) -> None:
        """Begin a picture."""
        if len(self.pictures) >= self.max_pictures:
            raise bad_request("multiple_sources", f"at most {self.max_pictures} pictures at once")
        if len(self.pictures) >= (most := self.site.settings.web.max_waiting):
            raise Problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "too_many_pictures",
                f"there is never room for so many: send at most {most} at once (web.max_waiting)",
                is_closing=True,
            )
        upload_id = self.make_id(len(self.pictures))
        if upload_id in self.site.receiving:
            raise Problem(
                HTTPStatus.CONFLICT,
                "in_progress",
                "a request with this Idempotency-Key is being received now",
                is_closing=True,
            )
        self.site.check_room()
        self.site.receiving.add(upload_id)
        try:
            takes_clips = self.site.settings.folder.clips == "cut"
            name = safe_name(filename, takes_clips=takes_clips)
            staged = await self.site.run(
                Staged, self.site.root, upload_id, name, is_waited_for=self.is_waited_for
            )
        except BaseException:
            self.site.receiving.discard(upload_id)
            raise
        asked = chosen(self.options) | self.more
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode())
        self.pictures.append(Picture(staged, name, digest))

    async def add(self, chunk: bytes) -> None:
        """Add bytes to the picture that comes now."""
        picture = self.pictures[-1]
        await self.site.run(picture.add, chunk)

    def check_not_empty(self) -> None:
        """Refuse a request without a picture, or with an empty one."""
        if not self.pictures:
            raise bad_request("missing_source", "there is no picture in the request")
        for number, picture in enumerate(self.pictures, 1):
            if not picture.size:
                raise bad_request("empty_file", f"picture {number} is empty")

    async def publish(self) -> None:
        """Make all pictures durable and visible; when this returns they are the daemon's."""
        if self.has_key:
            self.note_again()
        if self.is_waited_for:
            for picture in self.pictures:
                await self.site.run(self.check_short, picture)
        new = [picture for picture in self.pictures if not picture.is_again]
        asked = chosen(self.options)
        for picture in new:
            digest = picture.digest.hexdigest()
            note = {"version": 1, "options": asked, "sha256": digest, **self.more}
            await self.site.run(picture.staged.complete, note)
        for picture in new:
            await self.site.run(picture.staged.publish)
            self.site.hint_upload(picture.id, picture.name)

    def check_short(self, picture: Picture) -> None:
        """Refuse a clip that nobody should wait for."""
        picture.staged.file.flush()
        path = picture.staged.path / picture.name
        if waited_clips.takes_too_long(self.site.settings.folder, path, size=picture.size):
            raise Problem(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "clip_takes_long",
                "a clip takes longer than a request may: send it with POST /api/v1/pictures, then"
                " ask for its result",
            )

    def note_again(self) -> None:
        """Find out which pictures were taken before; `Problem` if they were others."""
        for picture in self.pictures:
            known = self.known_digest(picture.id)
            if known is None:
                continue
            if known != picture.digest.hexdigest():
                raise Problem(
                    HTTPStatus.UNPROCESSABLE_ENTITY,
                    "idempotency_key_reused",
                    "this Idempotency-Key has come before with other pictures or options",
                )
            picture.is_again = True

    def known_digest(self, upload_id: str) -> str | None:
        """Return the digest of an upload that was published before; None if there is none."""
        if uploads.is_waiting(self.site.root, upload_id):
            note = uploads.read_note(self.site.root, upload_id)
            if note is not None:
                return str(note.get("sha256"))
        if not self.site.ledger.path.exists():
            return None  # the daemon has never run
        for job in self.site.ledger.uploads.rows(upload_id):
            if job.upload is not None:
                return job.upload.sha256
        return None


def query_of(request: Request, known: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield parameters of the query that are options; `Problem` for one that stands twice."""
    seen: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in seen:
            raise bad_request("invalid_" + name[:40], f"{name[:40]} stands twice")
        seen[name] = value
        if name not in known:
            yield name, value
