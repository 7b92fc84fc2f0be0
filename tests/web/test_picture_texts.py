"""Pictures as base64 in JSON and in urlencoded forms: read piece by piece, whatever is sent."""

import base64
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daemon.web.bodies import form_fields, members
from daemon.web.multipart import FileBegin, FileBytes, Part
from daemon.web.picture_texts import JSON, URLENCODED, Grammar, PictureText
from daemon.web.problems import Problem
from tests.web.web_kit import Kit, running

pytestmark = pytest.mark.web
REMOVE = "/v1.0/removebg"
KINDS = {"json": "application/json", "form": "application/x-www-form-urlencoded"}
MEGA = 1_000_000


def parts(grammar: Grammar, body: bytes, size: int = 1000) -> tuple[list[Part], bytes]:
    """What a body holds that comes in chunks of a size, and what was kept of it."""
    parser = PictureText(grammar, "image_file")
    found = [
        part
        for start in range(0, len(body), size)
        for part in parser.feed(body[start : start + size])
    ]
    parser.finish()
    return found, parser.kept


def picture(found: list[Part]) -> bytes:
    """The bytes of the one picture among parts."""
    assert found[0] == FileBegin("image_file", "")
    return b"".join(part.content for part in found[1:] if isinstance(part, FileBytes))


def code(grammar: Grammar, body: bytes) -> str:
    """The code of the refusal of a body."""
    with pytest.raises(Problem) as caught:
        parts(grammar, body)
    return caught.value.code


def as_php(text: str) -> str:
    """JSON with a text as PHP writes it."""
    return json.dumps(text).replace("/", "\\/")


def as_net(text: str) -> str:
    """JSON with a text as .NET writes it."""
    return json.dumps(text).replace("+", "\\u002B")


SPELLINGS: dict[str, Callable[[str], str]] = {"plain": json.dumps, "php": as_php, "net": as_net}


@given(
    content=st.binary(min_size=1, max_size=300),
    size=st.integers(1, 400),
    spelling=st.sampled_from(sorted(SPELLINGS)),
    head=st.sampled_from(("", "data:image/png;base64,")),
    is_wrapped=st.booleans(),
)
@example(content=b"\xff" * 9, size=1, spelling="net", head="data:x;base64,", is_wrapped=True)
def test_a_picture_in_json(
    content: bytes, size: int, spelling: str, head: str, *, is_wrapped: bool
):
    """However its text is cut into chunks, escaped or wrapped; the rest is kept for the parser."""
    encode = base64.encodebytes if is_wrapped else base64.b64encode
    text = SPELLINGS[spelling](head + encode(content).decode())
    body = f'{{"size": "a,b", "image_file_b64" : {text}, "type": "猫 \\" x"}}'
    found, kept = parts(JSON, body.encode(), size)

    assert picture(found) == content
    assert members(kept) == {"size": "a,b", "image_file_b64": "", "type": '猫 " x'}


@given(
    content=st.binary(min_size=1, max_size=300),
    size=st.integers(1, 400),
    place=st.integers(0, 2),
    is_wrapped=st.booleans(),
)
@example(content=b"\xff" * 9, size=1, place=0, is_wrapped=True)
def test_a_picture_in_a_form(content: bytes, size: int, place: int, *, is_wrapped: bool):
    """However its text is cut into chunks, wherever it stands."""
    encode = base64.encodebytes if is_wrapped else base64.b64encode
    fields = [("bimage_file_b64", "x=%"), ("size", "a&b")]
    fields.insert(place, ("image_file_b64", encode(content).decode()))
    found, kept = parts(URLENCODED, urlencode(fields).encode(), size)

    assert picture(found) == content
    fields[place] = ("image_file_b64", "")
    assert form_fields(kept) == fields


@given(body=st.binary(max_size=200), size=st.integers(1, 50))
@example(b'{"image_file_b64": "\\u00', 1)
@example(b"image_file_b64=%4", 1)
def test_any_bytes_are_parsed_or_refused(body: bytes, size: int):
    """Nothing else happens."""
    for grammar, read in ((JSON, members), (URLENCODED, form_fields)):
        for text in (body, b'{"image_file_b64":"' + body, b"image_file_b64=" + body):
            try:
                _, kept = parts(grammar, text, size)
                read(kept)
            except Problem as problem:
                assert problem.code in ("invalid_json", "invalid_form", "invalid_image_file_b64")


@pytest.mark.parametrize(
    "text",
    ["?", "A", "AAA", "=", "AA=A", "AAA=AAAA", "AAAA=", "猫", "data:", "data:x", "d" * 3, "AA\\"],
)
def test_what_is_no_base64(text: str):
    """Refused with the code of that parameter, at its end too."""
    in_json = f'{{"image_file_b64": {json.dumps(text)}}}'.encode()

    assert code(JSON, in_json) == "invalid_image_file_b64"
    assert code(URLENCODED, urlencode({"image_file_b64": text}).encode()) == (
        "invalid_image_file_b64"
    )


@pytest.mark.parametrize("body", [b'"\\q"', b'"\\u12g4AAAA"', b'"AAAA\n"', b'"\\ud83d\\ude00"'])
def test_wrong_escapes(body: bytes):
    """In the picture's text."""
    assert code(JSON, b'{"image_file_b64":' + body + b"}") == "invalid_image_file_b64"


@pytest.mark.parametrize("text", [b"%", b"%4", b"%zzAAAAAAAA", b"%zz"])
def test_wrong_escapes_of_forms(text: bytes):
    """In the picture's text."""
    assert code(URLENCODED, b"image_file_b64=" + text) == "invalid_image_file_b64"


@pytest.mark.parametrize(
    ("grammar", "body", "expected"),
    [
        (JSON, b'{"a":[' + b"[]," * 30_000 + b"0]}", "invalid_json"),
        (JSON, b'{"image_file_b64":"QUFB","a":"' + b"x" * 70_000 + b'"}', "invalid_json"),
        (URLENCODED, b"a=" + b"%41" * 30_000, "invalid_form"),
    ],
    ids=("lists", "text", "form"),
)
def test_much_text_that_is_no_picture(grammar: Grammar, body: bytes, expected: str):
    """It would have to be in memory, so it is refused."""
    assert code(grammar, body) == expected


@pytest.mark.parametrize(
    "body",
    [
        '{"a": {"image_file_b64": "QUFB"}}',
        '{"y\\"image_file_b64": "QUFB", "size": "auto"}',
        '["image_file_b64", "QUFB"]',
        '{"image_file_b64": "QUFB"',
        '{"image_file_b64": "QUFB"} more',
        '{"image_file_b64": "QUFB", "image_file_b64": "QUFB"}',
    ],
)
def test_a_picture_at_a_wrong_place(kit: Kit, body: str):
    """Refused in their format; nothing stays."""
    answer = kit.client.post(REMOVE, content=body, headers={"Content-Type": KINDS["json"]})

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"]
    assert kit.left() == []


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """Server and daemon."""
    with running(Kit(tmp_path)) as kit:
        yield kit


def pieces(kind: str, escape: bytes, count: int) -> Iterator[bytes]:
    """A body with a picture of which every sign is escaped, piece by piece."""
    yield b'{"image_file_b64":"' if kind == "json" else b"image_file_b64="
    for _ in range(count // 10_000):
        yield escape * 10_000
    if kind == "json":
        yield b'"}'


@pytest.mark.parametrize(("kind", "escape"), [("json", b"\\u0041"), ("form", b"%41")])
def test_a_large_picture_as_text_is_not_kept(kit: Kit, kind: str, escape: bytes):
    """A million escapes take less than 10 MB; in a form they took 230."""
    count = MEGA
    tracemalloc.start()
    try:
        answer = kit.client.post(
            REMOVE, content=pieces(kind, escape, count), headers={"Content-Type": KINDS[kind]}
        )
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert answer.status_code == 200, answer.text
    assert len(answer.content) == count * 3 // 4
    assert peak_bytes < 10 * MEGA


def in_parts(text: str, filename: str = "") -> dict[str, Any]:
    """A form of parts with a picture's text, as `requests` sends it; `filename`: and a file."""
    files: dict[str, Any] = {"image_file_b64": (None, text)}
    return {"files": files | ({"image_file": (filename, b"file")} if filename else {})}


@pytest.mark.parametrize("head", ["", "data:image/png;base64,"])
def test_a_large_picture_as_text_in_parts(kit: Kit, head: str):
    """Fields of such a form are short, but not this one."""
    content = bytes(range(256)) * 1000
    answer = kit.client.post(REMOVE, **in_parts(head + base64.b64encode(content).decode()))

    assert (answer.status_code, answer.content) == (200, content)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (in_parts("?"), "invalid_image_file_b64"),
        (in_parts("QUF"), "invalid_image_file_b64"),
        (in_parts(""), "missing_source"),
        (in_parts("QUFB", "cat.jpg"), "multiple_sources"),
    ],
)
def test_a_wrong_picture_as_text_in_parts(kit: Kit, body: dict[str, Any], expected: str):
    """The codes are those of other bodies."""
    answer = kit.client.post(REMOVE, **body)

    assert answer.json()["errors"][0]["code"] == expected


def test_an_empty_text_beside_a_picture_in_parts(kit: Kit):
    """It counts as none."""
    answer = kit.client.post(REMOVE, **in_parts("", "cat.jpg"))

    assert (answer.status_code, answer.content) == (200, b"file")


@pytest.mark.parametrize(
    ("kind", "body"),
    [("json", b'{"a":[' + b"[]," * MEGA + b"0]}"), ("form", b"a=" + b"%41" * MEGA)],
)
def test_a_large_body_without_a_picture_is_not_kept(kit: Kit, kind: str, body: bytes):
    """Lists and escapes are the dearest; it is refused in their format."""
    tracemalloc.start()
    try:
        answer = kit.client.post(REMOVE, content=body, headers={"Content-Type": KINDS[kind]})
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, f"invalid_{kind}")
    assert peak_bytes < 10 * MEGA
