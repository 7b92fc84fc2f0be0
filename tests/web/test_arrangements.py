"""remove.bg's and rembg's parameters that the server carries out: by the answer's pixels."""

import base64
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from daemon.web import fetching
from tests.web.web_kit import Kit, picture, running

pytestmark = pytest.mark.web
REMOVE = "/v1.0/removebg"
SIDES = ("left", "top", "width", "height")


def subject() -> bytes:
    """An opaque square of 20 in a transparent picture of 100 x 80, at (30, 40)."""
    image = Image.new("RGBA", (100, 80))
    image.paste((200, 30, 30, 255), (30, 40, 50, 60))
    made = io.BytesIO()
    image.save(made, "PNG")
    return made.getvalue()


def colour(size: int = 8, level: int = 250) -> bytes:
    """A blue picture."""
    made = io.BytesIO()
    Image.new("RGB", (size, size), (0, 0, level)).save(made, "PNG")
    return made.getvalue()


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """Server and daemon."""
    with running(Kit(tmp_path, web={"max_upload_mb": 1})) as kit:
        yield kit


def ask(kit: Kit, /, **given: str) -> httpx.Response:
    """Send the square."""
    return kit.client.post(REMOVE, files={"image_file": ("a.png", subject())}, data=given)


def box(answer: httpx.Response) -> list[int]:
    """What the headers say of the subject."""
    return [int(answer.headers[f"x-foreground-{side}"]) for side in SIDES]


def image(answer: httpx.Response) -> Image.Image:
    """The answer as a picture."""
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


@pytest.mark.parametrize(
    ("given", "size", "expected"),
    [
        ({"roi": "0% 0% 40% 100%"}, (100, 80), [30, 40, 10, 20]),
        ({"roi": "0px 0px 45px 50px"}, (100, 80), [30, 40, 15, 10]),
        ({"scale": "50%"}, (100, 80), [30, 20, 40, 40]),
        ({"scale": "50%", "position": "0% 100%"}, (100, 80), [0, 40, 40, 40]),
        ({"position": "center"}, (100, 80), [40, 30, 20, 20]),
        ({"position": "10%"}, (100, 80), [8, 6, 20, 20]),
        ({"crop": "true", "crop_margin": "5px"}, (30, 30), [5, 5, 20, 20]),
        ({"crop": "true", "crop_margin": "10% 20%"}, (28, 24), [4, 2, 20, 20]),
        ({"crop": "true", "crop_margin": "1px 2px 3px 4px"}, (26, 24), [4, 1, 20, 20]),
    ],
)
def test_the_subject_is_put_there(
    kit: Kit, given: dict[str, str], size: tuple[int, int], expected: list[int]
):
    """And the headers say where."""
    answer = ask(kit, **given)
    made = image(answer)

    assert (made.size, box(answer)) == (size, expected)
    assert (answer.headers["x-width"], answer.headers["x-height"]) == tuple(map(str, size))
    assert made.getchannel("A").point(lambda level: 255 * (level > 128)).getbbox() == (
        *expected[:2],
        expected[0] + expected[2],
        expected[1] + expected[3],
    )
    assert "x-ignored-parameters" not in answer.headers


def test_a_zip(kit: Kit):
    """Colours and alpha."""
    answer = ask(kit, format="zip")

    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["color.jpg", "alpha.png"]
    assert kit.tasks[-1].rendering.bleed


def test_a_half_transparent_colour(kit: Kit):
    """In the picture as in rembg's answer."""
    ours = image(ask(kit, bg_color="0000ff80"))
    files = {"file": ("a.png", subject())}
    theirs = image(kit.client.post("/api/remove?bgc=0,0,255,128", files=files))

    for made in (ours, theirs):
        assert made.format == "PNG"
        assert made.getpixel((0, 0)) == (0, 0, 255, 128)
        assert made.getpixel((40, 50)) == (200, 30, 30, 255)


def test_a_background_picture(kit: Kit):
    """It fills the picture, and leaves no trace in the folder."""
    files = {"image_file": ("a.png", subject()), "bg_image_file": ("b.png", colour())}
    answer = kit.client.post(REMOVE, files=files)
    made = image(answer)

    assert (made.format, made.size) == ("JPEG", (100, 80))
    assert made.getpixel((2, 2)) == pytest.approx((0, 0, 250), abs=6)
    assert box(answer) == [30, 40, 20, 20]
    assert kit.left() == []


def test_a_background_by_its_address(kit: Kit, monkeypatch: pytest.MonkeyPatch):
    """Only where URLs are fetched."""
    data = {"bg_image_url": "https://x.example/b.png"}
    refused = ask(kit, **data).json()["errors"][0]["code"]
    web = kit.server.site.settings.web.model_copy(update={"fetch_urls": True})
    object.__setattr__(kit.server.site.settings, "web", web)

    def fetch(url: str, limit_bytes: int, *, code: str) -> Iterator[bytes]:
        yield colour(level=200)

    monkeypatch.setattr("daemon.web.removebg.fetch", fetch)

    assert refused == "invalid_bg_image_url"
    assert image(ask(kit, **data)).getpixel((2, 2)) == pytest.approx((0, 0, 200), abs=6)
    assert fetching.refused("url").code == "invalid_url"


@pytest.mark.parametrize(
    ("files", "data", "code"),
    [
        ({"bg_image_file": ("b", b"text")}, {}, "invalid_background"),
        ({"bg_image_file": ("b", colour())}, {"bg_color": "red"}, "multiple_backgrounds"),
        ({"bg_image_file": ("b", colour())}, {"bg_image_url": "https://x"}, "multiple_backgrounds"),
        ({"bg_image_file": ("b", colour())}, {"format": "zip"}, "invalid_format"),
        ({}, {"bg_image_file": "text"}, "invalid_background"),
        ({"bg_image_file": (None, "text", "text/plain")}, {}, "invalid_bg_image_file"),
        ({}, {"format": "zip", "channels": "alpha"}, "invalid_format"),
        ({}, {"roi": "0px 0px 5px 5px"}, "unknown_foreground"),
    ],
)
def test_refusals(kit: Kit, files: dict[str, Any], data: dict[str, str], code: str):
    """In their format; nothing is left in the folder."""
    own = {"image_file": ("a.png", subject())}
    answer = kit.client.post(REMOVE, files=own | files, data=data)

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, code)
    assert kit.left() == []


def test_a_field_that_stands_twice(kit: Kit):
    """One background."""
    files = [("image_file", ("a", subject())), *2 * [("bg_image_file", ("b", colour()))]]
    answer = kit.client.post(REMOVE, files=files)

    assert answer.json()["errors"][0]["code"] == "invalid_bg_image_file"


def test_json_says_where_the_subject_is(kit: Kit):
    """Arranged or not, in the words of their description."""
    headers = {"Accept": "application/json"}
    files = {"image_file": ("a.png", subject())}
    data = kit.client.post(REMOVE, files=files, data={"scale": "50%"}, headers=headers).json()[
        "data"
    ]

    assert [data[f"foreground_{side}"] for side in SIDES] == [30, 20, 40, 40]
    assert Image.open(io.BytesIO(base64.b64decode(data["result_b64"]))).size == (100, 80)


def test_what_is_plain_is_answered_by_the_worker_alone(kit: Kit):
    """The bytes are those of the result."""
    answer = kit.client.post(REMOVE, files={"image_file": ("a", picture())})

    assert answer.content == picture()
    assert box(answer) == [1, 2, 3, 4]
