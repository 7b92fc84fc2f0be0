"""Forms with files, parsed as they come."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from daemon.web import limits
from daemon.web.problems import Problem, bad_request

#: A boundary has at most 70 letters (RFC 2046); longer ones cost time in each chunk.
BOUNDARY_BYTES = 70
HEADER_BYTES = 4096


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


class FormParser:
    """Give it chunks, and it yields parts."""

    def __init__(
        self, content_type: str, *, readers: Mapping[str, Callable[[], Parser]] | None = None
    ) -> None:
        """`Problem` for a type without a boundary.

        ``readers``: of fields that hold a file as text, by their names.
        """
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
        self.header_name = self.header_value = self.disposition = self.value = b""
        self.field: str | None = None
        """The name of the field of text that comes now."""
        self.reader: Parser | None = None
        """Of the file as text that comes now."""

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
        self.header_name = self.header_value = self.disposition = self.value = b""
        self.field = self.reader = None

    def add_header_name(self, data: bytes, start: int, end: int) -> None:
        """Collect a piece of a header's name."""
        self.header_name = bounded(self.header_name + data[start:end], HEADER_BYTES)

    def add_header_value(self, data: bytes, start: int, end: int) -> None:
        """Collect a piece of a header's value."""
        self.header_value = bounded(self.header_value + data[start:end], HEADER_BYTES)

    def end_header(self) -> None:
        """Keep the one that counts."""
        if self.header_name.lower() == b"content-disposition":
            self.disposition = self.header_value
        self.header_name = self.header_value = b""

    def end_headers(self) -> None:
        """Begin a file or a field."""
        _, options = parse_options_header(self.disposition)
        name = options.get(b"name")
        if name is None:
            raise bad_request("invalid_form", "a part of the form has no name")
        text = name.decode("utf-8", "replace")
        if b"filename" in options:
            filename = options[b"filename"].decode("utf-8", "replace")
            self.ready.append(FileBegin(text, filename))
        elif text in self.readers:
            self.reader = self.readers[text]()
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
        elif self.field is None:
            self.ready.append(FileEnd())
        else:
            self.ready.append(Field(self.field, self.value.decode("utf-8", "replace")))

    def end(self) -> None:
        """Nothing more comes."""
        self.is_complete = True


def bounded(text: bytes, limit: int) -> bytes:
    """Return it if it is short enough."""
    if len(text) > limit:
        raise bad_request("invalid_form", f"a field of the form is longer than {limit} bytes")
    return text
