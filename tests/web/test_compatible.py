"""remove.bg's and rembg's clients: each parameter does what it says, or is refused."""

import asyncio
import base64
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import StreamingResponse

from daemon.config import request_options as options
from daemon.renderings import Framing, Rendering
from daemon.web import colours, fetching, limits, rembg, removebg, removebg_parameters
from daemon.web.fetching import fetch
from daemon.web.problems import Problem
from tests.samples import RENDERING
from tests.web.web_kit import PATIENCE_S, Kit, running

pytestmark = pytest.mark.web
REMOVE = "/v1.0/removebg"
REMBG = "/api/remove"
FILE = {"image_file": ("cat.jpg", b"picture")}


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """Server and daemon."""
    with running(Kit(tmp_path, web={"max_upload_mb": 1})) as kit:
        yield kit


def code(kit: Kit, **body: Any) -> str:  # Any: of httpx
    """The code of remove.bg's refusal."""
    answer = kit.client.post(REMOVE, **body)
    assert answer.status_code == 400, answer.text
    [error] = answer.json()["errors"]
    assert set(error) == {"title", "code", "detail"}
    return str(error["code"])


# --- remove.bg: sources ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"files": FILE},
        {"files": FILE, "data": {"size": "", "bg_color": ""}},
        {"data": {"image_file_b64": base64.b64encode(b"picture").decode()}},
        {"json": {"image_file_b64": base64.b64encode(b"picture").decode(), "size": "auto"}},
        {"json": {"image_file_b64": "data:image/png;base64,cGljdHVyZQ=="}},
    ],
)
def test_every_kind_of_body(kit: Kit, body: dict[str, Any]):
    """The answer is the picture, with their headers."""
    answer = kit.client.post(REMOVE, **body)

    assert (answer.status_code, answer.content) == (200, b"picture")
    assert answer.headers["x-width"] == "4"
    assert answer.headers["x-height"] == "3"
    assert answer.headers["x-credits-charged"] == "0"
    assert "x-ratelimit-limit" in answer.headers


def test_json_is_answered_to_whoever_accepts_it(kit: Kit):
    """With the picture as text."""
    answer = kit.client.post(REMOVE, files=FILE, headers={"Accept": "application/json"})

    assert base64.b64decode(answer.json()["data"]["result_b64"]) == b"picture"


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        ("application/json, text/plain, */*", False),  # axios, Angular
        ("application/json, text/javascript, */*; q=0.01", True),  # jQuery, asked for JSON
        ("application/json, application/*+json", True),  # Spring
        ("Application/JSON", True),
        ("image/png, application/json", False),
        ("image/*;q=0.5, application/json;q=0.9", True),
        ("application/json;q=0.5, image/png", False),
        ("application/json;q=0", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_json_goes_to_whoever_prefers_it(accept: str, is_json: bool):
    """Not to clients that name it among all kinds, as axios does in remove.bg's own sample."""
    assert removebg.prefers_json(accept) == is_json


def test_a_client_that_accepts_anything_gets_the_picture(kit: Kit):
    """Axios names JSON beside all other kinds."""
    headers = {"Accept": "application/json, text/plain, */*"}
    answer = kit.client.post(REMOVE, files=FILE, headers=headers)

    assert (answer.status_code, answer.content) == (200, b"picture")


async def split(content: bytes, *lengths: int) -> AsyncIterator[bytes]:
    """Bytes in pieces of these lengths, then the rest."""
    for length in lengths:
        yield content[:length]
        content = content[length:]
    yield content


@pytest.mark.parametrize("size", [0, 1, 2, 3, 700_001])
@pytest.mark.parametrize("lengths", [(), (1, 1, 1), (262_144, 262_145)])
def test_json_is_sent_in_pieces(size: int, lengths: tuple[int, ...]):
    """Whatever their lengths, it is the same text, of the length that is announced."""
    content = bytes(number % 251 for number in range(size))
    answer = removebg.in_json(split(content, *lengths), size, {"X-Foreground-Top": "7"})
    assert isinstance(answer, StreamingResponse)

    async def sent() -> list[bytes]:
        return [piece async for piece in answer.body_iterator if isinstance(piece, bytes)]

    pieces = asyncio.run(sent())
    data = json.loads(b"".join(pieces))["data"]
    assert len(b"".join(pieces)) == int(answer.headers["content-length"])
    assert answer.headers["content-type"] == "application/json"
    assert base64.b64decode(data["result_b64"], validate=True) == content
    assert data["foreground_top"] == 7
    assert len(lengths) != 2 or max(map(len, pieces)) < 500_000


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"data": {"size": "auto"}}, "missing_source"),
        ({"files": {"size": (None, "auto")}}, "missing_source"),
        ({"files": FILE, "data": {"image_url": "https://x.example/"}}, "multiple_sources"),
        ({"data": {"image_url": "https://x", "image_file_b64": "eA=="}}, "multiple_sources"),
        ({"data": {"image_file_b64": "?"}}, "invalid_image_file_b64"),
        ({"data": {"image_file": "text"}}, "invalid_image_file"),
        ({"data": {"image_url": "https://x.example/"}}, "invalid_image_url"),
        ({"files": FILE, "data": {"nonsense": "1"}}, "invalid_nonsense"),
        ({"files": FILE, "data": {"size": "huge"}}, "invalid_size"),
        ({"files": {"image_file": ("a", b"")}}, "empty_file"),
        ({"files": {"image_file": ("a", b"bad")}}, "invalid_image_file"),
        ({"files": {"image_file": ("a", b"blank")}}, "unknown_foreground"),
        ({"files": {"image_file": ("a", b"x" * 1_100_000)}}, "file_too_large"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, "invalid_json"),
        ({"json": {"image_file_b64": ["x"]}}, "invalid_image_file_b64"),
    ],
)
def test_refusals_have_their_codes(kit: Kit, body: dict[str, Any], expected: str):
    """In their format."""
    assert code(kit, **body) == expected


def test_the_account(kit: Kit):
    """There are always credits."""
    attributes = kit.client.get("/v1.0/account").json()["data"]["attributes"]

    assert attributes["credits"]["total"] > 0
    assert attributes["api"]["sizes"] == "all"


# --- remove.bg: parameters ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"format": "png", "max_megapixels": 0.25}),
        ({"size": "auto"}, {"max_megapixels": 25.0}),
        ({"size": "medium"}, {"max_megapixels": 1.5}),
        ({"size": "hd"}, {"max_megapixels": 4.0}),
        ({"size": "50MP"}, {"max_megapixels": 50.0}),
        ({"format": "jpg"}, {"format": "jpeg"}),
        ({"format": "webp"}, {"format": "webp"}),
        ({"bg_color": "red"}, {"background": "#ff0000", "format": "jpeg"}),
        ({"bg_color": "81d4fa77"[:6]}, {"background": "#81d4fa", "format": "jpeg"}),
        ({"bg_color": "fff", "format": "png"}, {"background": "#ffffff", "format": "png"}),
        ({"bg_color": "ffffff00"}, {"background": "none", "format": "png"}),
        ({"channels": "alpha"}, {"content": "alpha"}),
        ({"crop": "true"}, {"crop": "subject"}),
        ({"crop": "true", "crop_margin": "25%"}, {"crop_margin": 0.25 / 1.5}),
        ({"crop": "true", "crop_margin": "10% 10%"}, {"crop_margin": 0.1 / 1.2}),
        ({"crop": "true", "crop_margin": "0px"}, {"crop_margin": 0.0}),
        ({"crop": "false", "crop_margin": "30px"}, {"crop": "none"}),
        (
            {"scale": "original", "position": "original", "roi": "0% 0% 100% 100%"},
            {"depth": "auto"},
        ),
    ],
)
def test_parameters_do_what_they_say(given: dict[str, str], expected: dict[str, Any]):
    """As options of ours."""
    found = removebg_parameters.wanted(given).options

    assert {name: found[name] for name in expected} == expected


def test_the_folders_own_output_does_not_matter():
    """Their clients expect what their servers give."""
    own = Framing("subject", 10, 0.2, 1.0, (500, 500))
    folder = replace(RENDERING, framing=own, background=(1, 2, 3), depth=16, content="both")

    found = options.render(folder, removebg_parameters.wanted({"format": "webp"}).options)

    assert (found.framing, found.background) == (Framing(), None)
    assert (found.depth, found.content) == ("auto", "cutout")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("roi", "10% 10% 90%"), ("roi", "90% 0% 10% 100%"), ("roi", "5px 9px 6px 9px")],
        *[("scale", "5%"), ("scale", "120%"), ("scale", "80"), ("position", "left")],
        *[("position", "10% 20% 30%"), ("position", "101%"), ("crop_margin", "60%")],
        *[("crop_margin", "501px"), ("crop_margin", "1% 2% 3%"), ("crop_margin", "x")],
        *[("crop", "maybe"), ("channels", "rgb"), ("type", "plant"), ("type_level", "9")],
        *[("bg_color", "nocolour"), ("shadow_type", "drop"), ("format", "gif")],
        *[("shadow_opacity", "101"), ("add_shadow", "x"), ("semitransparency", "0.5")],
    ],
)
def test_what_is_not_offered_is_refused(name: str, value: str):
    """Nothing is silently left out."""
    with pytest.raises(Problem) as caught:
        removebg_parameters.wanted({name: value})

    assert caught.value.code == f"invalid_{name}"


def test_what_changes_nothing_is_said(kit: Kit):
    """In a header; defaults are not worth a word."""
    data = {"type": "person", "add_shadow": "true", "scale": "original", "type_level": "1"}
    answer = kit.client.post(REMOVE, files=FILE, data=data)

    assert answer.headers["x-ignored-parameters"] == "type, add_shadow"
    assert answer.headers["x-type"] == "person"


# --- rembg -------------------------------------------------------------------------------------


def rendering_of(kit: Kit) -> Rendering:
    """What the worker was asked for last."""
    return kit.tasks[-1].rendering


def test_rembg_cuts_out(kit: Kit):
    """Form fields, and a background in the query."""
    files, data = {"file": ("cat.jpg", b"picture")}, {"model": "u2net", "a": "true", "af": "240"}
    answer = kit.client.post(f"{REMBG}?bgc=255,0,0,255", files=files, data=data)

    assert (answer.status_code, answer.content) == (200, b"picture")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-ignored-parameters"] == "a, af, model"
    assert rendering_of(kit).background == (255, 0, 0)


def test_rembg_gives_the_mask_alone(kit: Kit):
    """By `om`."""
    kit.client.post(REMBG, files={"file": ("cat.jpg", b"picture")}, data={"om": "true"})

    assert rendering_of(kit).content == "alpha"


@pytest.mark.parametrize(
    ("query", "name"),
    [
        *[("model=sam", "model"), ("bgc=1,2,3", "bgc"), ("bgc=1,2,3,256", "bgc")],
        *[
            ('extras={"points":[]}', "extras"),
            ("extras={", "extras"),
            ("om=perhaps", "om"),
            ("af=1000", "af"),
            ("x=1", "x"),
        ],
    ],
)
def test_rembg_refuses(kit: Kit, query: str, name: str):
    """As FastAPI does."""
    answer = kit.client.post(f"{REMBG}?{query}", files={"file": ("cat.jpg", b"picture")})

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][-1] == name
    assert kit.left() == []


def test_rembg_without_a_file(kit: Kit):
    """Or with one in another field, or with a URL where URLs are off."""
    empty = kit.client.post(REMBG, files={"model": (None, "u2net")})
    other = kit.client.post(REMBG, files={"image": ("a", b"x")})
    url = kit.client.get(f"{REMBG}?url=https://x.example/")

    assert [one.status_code for one in (empty, other, url)] == [400, 400, 422]


def test_every_general_model_has_a_name():
    """Of the same purpose; others are refused."""
    assert rembg.wanted({"model": "isnet-general-use"})[1] == ["model"]


def test_a_model_of_ours_has_its_name():
    """Then nothing is ignored."""
    found, ignored = rembg.wanted({"model": "portraits", "extras": "{}"}, ["cvunet", "portraits"])

    assert (found.options["model"], ignored) == ("portraits", [])


# --- colours and URLs --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#FFF", [255, 255, 255, 255]),
        ("0f0", [0, 255, 0, 255]),
        ("abcf", [170, 187, 204, 255]),
        ("abc0", None),
        ("81d4fa77", [129, 212, 250, 119]),
        ("RebeccaPurple", [102, 51, 153, 255]),
        ("transparent", None),
    ],
)
def test_colours(text: str, expected: list[int] | None):
    """As CSS writes them."""
    assert colours.levels(text) == expected


def public(host: str, port: int, **options: object) -> list[Any]:
    """A resolver for which all names are public."""
    return [(2, 1, 6, "", ("93.184.215.14", port))]


def private(host: str, port: int, **options: object) -> list[Any]:
    """A resolver for which all names lead into the house."""
    return [(2, 1, 6, "", ("10.0.0.1", port))]


def literal(host: str, port: int, **options: object) -> list[Any]:
    """A resolver of addresses."""
    return [(2, 1, 6, "", (host, port))]


class Answer:
    """What a server says."""

    def __init__(self, status: int, content: bytes) -> None:
        self.status = status
        self.content = content
        self.length = len(content)

    def read1(self, count: int) -> bytes:
        """The next bytes."""
        piece, self.content = self.content[:count], self.content[count:]
        return piece


class Connection:
    """A connection to nowhere."""

    sock = None

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def request(self, method: str, path: str, headers: dict[str, str]) -> None:
        """Take it."""

    def getresponse(self) -> Answer:
        """What was prepared."""
        return self.answer

    def close(self) -> None:
        """Nothing is open."""


def fetched(url: str, answer: Answer, *, resolve: Any = public, limit: int = 100) -> bytes:
    """What a URL brings."""
    found = fetch(
        url,
        limit,
        resolve=resolve,
        connect=lambda place, address: Connection(answer),  # type: ignore[arg-type,return-value]
    )
    return b"".join(found)


def test_a_url_is_fetched():
    """From a public address."""
    assert fetched("https://x.example/cat.jpg", Answer(200, b"picture")) == b"picture"


@contextmanager
def server_that_sends(pieces: Iterable[bytes]) -> Iterator[int]:
    """A server on this machine that answers one request, and its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                connection.recv(65_536)
                for piece in pieces:
                    connection.sendall(piece)

        thread = threading.Thread(target=answer)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


def fetched_from(port: int) -> bytes:
    """What a URL brings that leads to a server on this machine."""
    connect = lambda place, address: HTTPConnection("127.0.0.1", port, timeout=5)  # noqa: E731
    return b"".join(fetch("https://x.example/", 100_000, resolve=public, connect=connect))


def slowly(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Each before the reader would lose patience."""
    for piece in pieces:
        time.sleep(0.05)
        yield piece


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\nX: ", *[b"x"] * 1000],
        [b"HTTP/1.1 200 OK\r\n\r\n", *[b"x"] * 1000],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", *[b"x"] * 1000],
    ],
)
def test_a_url_that_answers_slowly_is_given_up(
    pieces: list[bytes], monkeypatch: pytest.MonkeyPatch
):
    """In its head or in its body: else it would hold a thread for hours."""
    monkeypatch.setattr(fetching, "TOTAL_S", 0.5)
    began = time.monotonic()
    with server_that_sends(slowly(pieces)) as port:
        with pytest.raises(Problem, match="longer than"):
            fetched_from(port)
        took_s = time.monotonic() - began

    assert took_s < 40  # all of it would take 50


def test_a_url_of_a_server_that_keeps_its_connections_open():
    """As nearly all do: the answer's length says where it ends."""
    is_read = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"
        yield b"picture"
        is_read.wait(PATIENCE_S)  # longer than the reader would wait for more

    with server_that_sends(pieces()) as port:
        try:
            assert fetched_from(port) == b"picture"
        finally:
            is_read.set()


def test_a_url_whose_answer_is_cut_off_is_no_picture():
    """Half a JPEG would be cut out as if it were whole."""
    pieces = [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"half of it"]
    with server_that_sends(pieces) as port, pytest.raises(Problem, match="cut off"):
        fetched_from(port)


@pytest.mark.parametrize(
    ("url", "answer", "resolve"),
    [
        ("https://x.example/", Answer(200, b"x"), private),
        ("http://x.example/", Answer(200, b"x"), public),
        ("file:///etc/passwd", Answer(200, b"x"), public),
        ("https://user:pw@x.example/", Answer(200, b"x"), public),
        ("https://x.example/", Answer(302, b""), public),
        ("https://x.example/" + "x" * 3000, Answer(200, b"x"), public),
        (
            "https://127.0.0.1/",
            Answer(200, b"x"),
            lambda host, port, **more: [(2, 1, 6, "", (host, port))],
        ),
    ],
)
def test_a_url_that_leads_elsewhere(url: str, answer: Answer, resolve: Any):
    """Refused, without a word about what is there."""
    with pytest.raises(Problem) as caught:
        fetched(url, answer, resolve=resolve)

    assert caught.value.code == fetching.CODE


def test_a_url_with_too_many_bytes():
    """The limit of uploads counts."""
    with pytest.raises(Problem) as caught:
        fetched("https://x.example/", Answer(200, b"x" * 101))

    assert caught.value.code == "file_too_large"


def test_slow_urls_hold_up_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """However many clients wait for one: files have threads of their own."""
    begun, may_end = threading.Semaphore(0), threading.Event()

    def slow(url: str, limit_bytes: int, *, code: str) -> Iterator[bytes]:
        begun.release()
        assert may_end.wait(PATIENCE_S)
        yield b"picture"

    monkeypatch.setattr("daemon.web.removebg.fetch", slow)
    monkeypatch.setattr("daemon.web.rembg.fetch", slow)
    count = limits.MAX_WAITING_CLIENTS
    with running(Kit(tmp_path, web={"fetch_urls": True})) as kit, ThreadPoolExecutor(count) as pool:
        data = {"image_url": "https://x.example/"}
        waiting = [pool.submit(kit.client.post, REMOVE, data=data) for _ in range(count // 2)]
        url = f"{REMBG}?url=https://x.example/"
        waiting += [pool.submit(kit.client.get, url) for _ in range(count // 2)]
        try:
            assert all(begun.acquire(timeout=PATIENCE_S) for _ in range(limits.FILE_THREADS))
            upload_id = kit.upload()
            kit.wait(upload_id)
            assert kit.client.get(f"/api/v1/pictures/{upload_id}/result").content == b"picture"
            assert not any(one.done() for one in waiting)
            assert all(
                begun.acquire(timeout=PATIENCE_S) for _ in range(count - limits.FILE_THREADS)
            )
        finally:
            may_end.set()

        assert [one.result().content for one in waiting] == [b"picture"] * count
