"""Forms as programs write them; many do not say that a part is a file."""

from pathlib import Path

import pytest

from daemon.web.multipart import Field, FileBegin, FileBytes, FileEnd, FormParser, Part
from tests.web.web_kit import Kit, running

pytestmark = pytest.mark.web
FORM = "multipart/form-data; boundary=x"
DOTNET_NAME = "filename*=utf-8''%E7%8C%AB.jpg"


def part(disposition: str, kind: str = "", content: bytes = b"abc") -> bytes:
    """A form with one part."""
    head = f"Content-Disposition: {disposition}\r\n"
    if kind:
        head += f"Content-Type: {kind}\r\n"
    return b"--x\r\n" + head.encode() + b"\r\n" + content + b"\r\n--x--\r\n"


def parts(form: bytes) -> list[Part]:
    """What is read of a form whose field for a file is ``image_file``."""
    parser = FormParser(FORM, files=frozenset({"image_file"}))
    found = list(parser.feed(form))
    parser.finish()
    return found


@pytest.mark.parametrize("kind", ["image/jpeg", "Video/mp4", "application/octet-stream"])
def test_a_type_of_files_makes_a_file(kind: str):
    """Apache's client for Java and .NET leave a file's name out."""
    found = parts(part("form-data; name=any", kind))

    assert found == [FileBegin("any", ""), FileBytes(b"abc"), FileEnd()]


def test_a_field_for_files_makes_a_file():
    """.NET's ByteArrayContent has neither a name nor a type."""
    found = parts(part("form-data; name=image_file"))

    assert found == [FileBegin("image_file", ""), FileBytes(b"abc"), FileEnd()]


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        ("size", ""),
        ("size", "text/plain; charset=utf-8"),
        ("size", "application/json"),
        ("image_file", "text/plain"),
    ],
)
def test_texts_stay_texts(field: str, kind: str):
    """Also with a type of their own."""
    assert parts(part(f"form-data; name={field}", kind)) == [Field(field, "abc")]


def test_a_nameless_file_without_bytes_is_none():
    """A program leaves a field empty that it has no value for."""
    assert parts(part("form-data; name=image_file", content=b"")) == [FileEnd()]


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        (DOTNET_NAME, "猫.jpg"),
        (f'filename="=?utf-8?B?54yrLmpwZw==?="; {DOTNET_NAME}', "猫.jpg"),
        ("FileName*=UTF-8'en'a%20b.jpg; filename=c.jpg", "a b.jpg"),
        ("filename*=utf-8''%ff.jpg", "\ufffd.jpg"),
        ("filename*=koi8-r''%ff.jpg; filename=c.jpg", "c.jpg"),
        (f'filename="a; {DOTNET_NAME}"', f"a; {DOTNET_NAME}"),
        ("filename*=nonsense; filename=c.jpg", "c.jpg"),
    ],
)
def test_extended_names_of_files(rest: str, expected: str):
    """They count more than others beside them, if they can be read."""
    found = parts(part(f"form-data; name=image_file; {rest}"))

    assert found[0] == FileBegin("image_file", expected)


@pytest.mark.parametrize(
    ("path", "disposition", "kind"),
    [
        ("/api/v1/pictures", "form-data; name=image", ""),
        ("/api/v1/pictures", "form-data; name=any", "image/png"),
        ("/api/v1/cutouts", "form-data; name=image", ""),
        ("/v1.0/removebg", "form-data; name=image_file", ""),
        ("/api/remove", "form-data; name=file", ""),
    ],
)
def test_every_api_takes_files_without_names(
    tmp_path: Path, path: str, disposition: str, kind: str
):
    """They are pictures like others."""
    with running(Kit(tmp_path)) as kit:
        body, headers = part(disposition, kind), {"Content-Type": FORM}
        answer = kit.client.post(path, content=body, headers=headers)

        assert answer.is_success, answer.text
