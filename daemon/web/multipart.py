"""Forms with files, parsed as they come."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from daemon.web import limits
from daemon.web.problems import Problem, bad_request

#: A boundary has at most 70 letters (RFC 2046); longer ones cost time in each chunk.
BOUNDARY_BYTES = 70
HEADER_BYTES = 4096
#: Parts of these types are files, also those without a file's name: .NET and Apache's client for
#: Java send such ones.
FILE_KINDS = (b"image/", b"video/", b"application/octet-stream")
QUOTED = re.compile(rb'"(?:[^"\\]++|\\.)*+"')
EXTENDED = re.compile(rb";\s*filename\*\s*=\s*utf-8'[^';]*'([^\s;]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of text, complete."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class FileBegin:
    """A file begins."""

    name: str
    filename: str


@dataclass(frozen=True, slots=True)
class FileBytes:
    """More of the file that has begun last."""

    content: bytes


@dataclass(frozen=True, slots=True)
class FileEnd:
    """The file that has begun last is complete."""


Part = Field | FileBegin | FileBytes | FileEnd


class Parser(Protocol):
    """Makes parts of a body."""

    def feed(self, chunk: bytes) -> Iterator[Part]:
        """Yield what is complete by this chunk; `Problem` if it is wrong."""
        ...

    def finish(self) -> None:
        """Check that the body is complete."""
        ...


#: Each makes the reader of a field.
Readers = Mapping[str, Callable[[], Parser]]


class NamelessFile:
    """Reads a file that has no name: one without bytes is none."""

    def __init__(self, field: str) -> None:
        self.begin = [FileBegin(field, "")]

    def feed(self, chunk: bytes) -> Iterator[Part]:
        """Yield the bytes; before the first of them, that the file begins."""
        yield from self.begin
        self.begin = []
        yield FileBytes(chunk)

    def finish(self) -> None:
        """Accept any end."""


class FormParser:
    """Give it chunks, and it yields parts."""

    def __init__(
        self,
        content_type: str,
        *,
        files: frozenset[str] = frozenset(),
        readers: Readers | None = None,
    ) -> None:
        """`Problem` for a type without a boundary.

        ``files``: fields that hold files, also where the client does not say so. ``readers``: of
        fields that hold a file as text, by their names.
        """
        self.files = files
        self.readers = readers or {}
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if not 0 < len(boundary) <= BOUNDARY_BYTES:
            raise bad_request("invalid_form", "the form's type has no boundary")
        self.parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self.begin_part,
                "on_header_field": self.add_header_name,
                "on_header_value": self.add_header_value,
                "on_header_end": self.end_header,
                "on_headers_finished": self.end_headers,
                "on_part_data": self.add_data,
                "on_part_end": self.end_part,
                "on_end": self.end,
            },
        )
        self.ready: list[Part] = []
        self.count = 0
        self.is_complete = False
        self.header_name = self.header_value = self.disposition = self.kind = self.value = b""
        self.field: str | None = None
        """The name of the field of text that comes now."""
        self.reader: Parser | None = None
        """Of the file without a name that comes now."""

    def feed(self, chunk: bytes) -> Iterator[Part]:
        """Yield what is complete by this chunk; `Problem` if it is no form."""
        try:
            self.parser.write(chunk)
        except FormParserError as error:
            raise bad_request("invalid_form", "the form cannot be understood") from error
        ready, self.ready = self.ready, []
        yield from ready

    def finish(self) -> None:
        """Check that the form is complete."""
        if not self.is_complete:
            raise bad_request("invalid_form", "the form ends too early")

    # --- what the parser calls ------------------------------------------------------------

    def begin_part(self) -> None:
        """Count the part that begins, and forget the one before it."""
        self.count += 1
        if self.count > limits.MAX_PARTS:
            raise Problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "too_many_parts",
                f"a form may have {limits.MAX_PARTS} parts",
                is_closing=True,
            )
        self.header_name = self.header_value = self.disposition = self.kind = self.value = b""
        self.field = self.reader = None

    def add_header_name(self, data: bytes, start: int, end: int) -> None:
        """Collect a piece of a header's name."""
        self.header_name = bounded(self.header_name + data[start:end], HEADER_BYTES)

    def add_header_value(self, data: bytes, start: int, end: int) -> None:
        """Collect a piece of a header's value."""
        self.header_value = bounded(self.header_value + data[start:end], HEADER_BYTES)

    def end_header(self) -> None:
        """Keep those that count."""
        match self.header_name.lower():
            case b"content-disposition":
                self.disposition = self.header_value
            case b"content-type":
                self.kind = self.header_value.strip().lower()
        self.header_name = self.header_value = b""

    def end_headers(self) -> None:
        """Begin a file or a field."""
        _, options = parse_options_header(self.disposition)
        name = options.get(b"name")
        if name is None:
            raise bad_request("invalid_form", "a part of the form has no name")
        text = name.decode("utf-8", "replace")
        filename = extended_name(self.disposition)
        if filename is None and b"filename" in options:
            filename = options[b"filename"].decode("utf-8", "replace")
        if filename is not None:
            self.ready.append(FileBegin(text, filename))
        elif text in self.readers:
            self.reader = self.readers[text]()
        elif self.kind.startswith(FILE_KINDS) or (text in self.files and not self.kind):
            self.reader = NamelessFile(text)
        else:
            self.field = text

    def add_data(self, data: bytes, start: int, end: int) -> None:
        """Collect a field; pass a file on."""
        if self.reader is not None:
            self.ready.extend(self.reader.feed(data[start:end]))
        elif self.field is None:
            self.ready.append(FileBytes(data[start:end]))
        else:
            self.value = bounded(self.value + data[start:end], limits.MAX_FIELD_BYTES)

    def end_part(self) -> None:
        """Pass the part on that has ended."""
        if self.reader is not None:
            self.reader.finish()
        if self.field is None:
            self.ready.append(FileEnd())
        else:
            self.ready.append(Field(self.field, self.value.decode("utf-8", "replace")))

    def end(self) -> None:
        """Nothing more comes."""
        self.is_complete = True


def extended_name(disposition: bytes) -> str | None:
    """Return a file's name in the form of RFC 8187, in which .NET adds other names than ASCII.

    RFC 7578 forbids it in forms, so the parser leaves it out.
    """
    found = EXTENDED.search(QUOTED.sub(b'""', disposition))
    return None if found is None else unquote_to_bytes(found[1]).decode("utf-8", "replace")


def bounded(text: bytes, limit: int) -> bytes:
    """Return it if it is short enough."""
    if len(text) > limit:
        raise bad_request("invalid_form", f"a field of the form is longer than {limit} bytes")
    return text
