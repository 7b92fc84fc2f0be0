"""JSON and forms that hold a picture as base64, read as they come.

Python's parsers need the whole text, and up to 80 times its bytes. Here the picture's text goes on
piece by piece, and only what stands around it is kept for them.
"""

import base64
import json
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from daemon.web import limits
from daemon.web.multipart import FileBegin, FileBytes, Part
from daemon.web.problems import Problem, bad_request

#: So much is decoded before other requests have their turn.
PIECE_BYTES = 65_536
#: Of an escape that is cut in two, at most.
ESCAPE_BYTES = 6
#: Of what stands before the picture's text: the field's name, quotes, spaces.
BEGIN_BYTES = 256
FIELD = "image_file_b64"
WHITESPACE = string.whitespace.encode()
DATA_URL = b"data:"
DATA_URL_BYTES = 200


@dataclass(frozen=True, slots=True)
class Grammar:
    """How a picture's text stands in a body."""

    begin: re.Pattern[bytes]
    """What stands before it."""
    piece: re.Pattern[bytes]
    """As much of it as is complete."""
    plain: Callable[[bytes], bytes]
    """Resolves its escapes; `ValueError` for wrong ones."""
    code: str
    """Of refusals of the body."""


def json_plain(piece: bytes) -> bytes:
    """Return a piece of a text of JSON without escapes."""
    return str(json.loads(f'"{piece.decode("ascii")}"')).encode("ascii")


def form_plain(piece: bytes) -> bytes:
    """Return a piece of a form's field without escapes."""
    return unquote_to_bytes(piece.replace(b"+", b" "))


JSON = Grammar(
    re.compile(rb'(?<!\\)"image_file_b64"[ \t\r\n]{0,99}:[ \t\r\n]{0,99}"'),
    re.compile(rb'(?:[^"\\]++|\\u[0-9a-fA-F]{4}|\\[^u])*+'),
    json_plain,
    "invalid_json",
)
URLENCODED = Grammar(
    re.compile(rb"(?:\A|&)image_file_b64="),
    re.compile(rb"(?:[^&%]++|%[0-9a-fA-F]{2})*+"),
    form_plain,
    "invalid_form",
)


class Base64Text:
    """A picture as base64, decoded as it comes, with or without ``data:…;base64,`` before it."""

    def __init__(self) -> None:
        self.text = b""
        """Not decoded yet."""
        self.is_at_start = True
        self.is_padded = False

    def add(self, text: bytes) -> bytes:
        """Return what is complete; `ValueError` if it is no base64."""
        self.text += text.translate(None, WHITESPACE)
        if self.is_at_start and not self.pass_head():
            return b""
        count = len(self.text) // 4 * 4
        ready, self.text = self.text[:count], self.text[count:]
        if ready:
            if self.is_padded:
                raise ValueError("more comes after the end")
            self.is_padded = ready.endswith(b"=")
        return base64.b64decode(ready, validate=True)

    def pass_head(self) -> bool:
        """Whether the beginning is complete; what is no base64 of it is removed."""
        if self.text[: len(DATA_URL)] == DATA_URL[: len(self.text)]:
            _, comma, rest = self.text.partition(b",")
            if not comma and len(self.text) <= DATA_URL_BYTES:
                return False
            self.text = rest if comma else self.text
        self.is_at_start = False
        return True

    def finish(self) -> None:
        """Raise `ValueError` if the end is missing."""
        if self.text:
            raise ValueError("the end is missing")


class FileText:
    """The text of a picture. Give it pieces, and it yields the picture.

    ``file`` is the field that the picture has in the parts.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.text = Base64Text()
        self.has_begun = False

    def feed(self, chunk: bytes) -> Iterator[Part]:
        """Yield what is complete by this piece; `Problem` if it is no base64."""
        try:
            content = self.text.add(chunk)
        except ValueError as error:
            raise no_base64() from error
        if content and not self.has_begun:
            self.has_begun = True
            yield FileBegin(self.file, "")
        if content:
            yield FileBytes(content)

    def finish(self) -> None:
        """Check that the picture is complete."""
        try:
            self.text.finish()
        except ValueError as error:
            raise no_base64() from error


class PictureText:
    """A body with a picture's text. Give it chunks, and it yields the picture.

    ``file`` is the field that the picture has in the parts.
    """

    def __init__(self, grammar: Grammar, file: str) -> None:
        self.grammar = grammar
        self.file = file
        self.kept = b""
        """All but pictures."""
        self.begins_at = 0
        """The place in it from which on a picture may begin."""
        self.cut = b""
        """The beginning of an escape."""
        self.picture: FileText | None = None

    def feed(self, chunk: bytes) -> Iterator[Part]:
        """Yield what is complete by this chunk; `Problem` if it is wrong."""
        for start in range(0, len(chunk), PIECE_BYTES):
            text = self.cut + chunk[start : start + PIECE_BYTES]
            self.cut = b""
            while text:
                if self.picture is None:
                    text = self.keep(text)
                else:
                    piece = self.grammar.piece.match(text)
                    assert piece is not None, "it may be empty"
                    yield from self.decode(self.picture, piece[0])
                    text = self.leave(text[piece.end() :])

    def keep(self, text: bytes) -> bytes:
        """Keep what stands around a picture; return what comes after the picture's beginning."""
        seen, self.kept = len(self.kept), self.kept + text
        begin = self.grammar.begin.search(self.kept, max(self.begins_at, seen - BEGIN_BYTES))
        if begin is not None:
            text, self.kept = self.kept[begin.end() :], self.kept[: begin.end()]
            self.begins_at = begin.end()
            self.picture = FileText(self.file)
        if len(self.kept) > limits.MAX_FIELD_BYTES:
            detail = f"the body has more than {limits.MAX_FIELD_BYTES} bytes besides image_file_b64"
            raise bad_request(self.grammar.code, detail)
        return text if begin is not None else b""

    def decode(self, picture: FileText, piece: bytes) -> Iterator[Part]:
        """Yield the bytes of a piece of the picture's text."""
        try:
            text = self.grammar.plain(piece)
        except ValueError as error:
            raise no_base64() from error
        yield from picture.feed(text)

    def leave(self, rest: bytes) -> bytes:
        """Return what comes after the picture's text, if that has ended."""
        if rest[:1] in (b"\\", b"%"):
            self.cut = rest
            if len(rest) > ESCAPE_BYTES:
                raise no_base64()
            return b""
        if rest:
            self.finish()
        return rest

    def finish(self) -> None:
        """Check that the picture is complete."""
        if self.picture is None:
            return
        self.picture.finish()
        if self.cut:
            raise no_base64()
        self.picture = None


def decoded(text: str) -> Iterator[bytes]:
    """Yield a picture of a short text."""
    picture = Base64Text()
    try:
        content = picture.add(text.encode("ascii"))
        picture.finish()
    except ValueError as error:
        raise no_base64() from error
    yield content


def no_base64() -> Problem:
    """Return the refusal of a picture's text."""
    return bad_request("invalid_image_file_b64", "image_file_b64 is no base64")
