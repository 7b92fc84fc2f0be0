"""The files of the page: compressed, and sent again only when they have changed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.web.static_files import STATIC, StaticFile, takes_gzip
from tests.web.web_kit import Kit, running

pytestmark = pytest.mark.web


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    """One for all tests here; no daemon is needed."""
    with running(Kit(tmp_path_factory.mktemp("static"), is_daemon_up=False)) as kit:
        yield kit


def test_files_are_compressed(kit: Kit):
    """And are the same after that."""
    answer = kit.client.get("/static/app.js", headers={"Accept-Encoding": "gzip"})
    plain = (STATIC / "static/app.js").read_bytes()

    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert int(answer.headers["content-length"]) < len(plain) / 2
    assert answer.content == plain


@pytest.mark.parametrize(
    ("header", "is_taken"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("br, gzip; q=0.000", False),
    ],
)
def test_only_those_who_take_gzip_get_it(kit: Kit, header: str, is_taken: bool):
    """As the header says."""
    answer = kit.client.get("/static/page.css", headers={"Accept-Encoding": header})

    assert takes_gzip(header) == is_taken
    assert ("content-encoding" in answer.headers) == is_taken
    assert answer.content == (STATIC / "static/page.css").read_bytes()


def test_a_file_that_has_not_changed_is_not_sent_again(kit: Kit):
    """The browser asks each time, and gets an empty answer."""
    first = kit.client.get("/")
    tag = first.headers["etag"]
    again = kit.client.get("/", headers={"If-None-Match": f'"other", {tag}'})
    other = kit.client.get("/", headers={"If-None-Match": '"other"'})

    assert first.headers["cache-control"] == "no-cache"
    assert first.headers["content-type"].startswith("text/html")
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == tag
    assert other.content == first.content


def test_each_content_has_its_own_tag(tmp_path: Path):
    """A new program has new ones."""
    path = tmp_path / "one.js"
    tags = []
    for content in ("1", "2"):
        path.write_text(content)
        tags.append(StaticFile.of(path).tag)

    assert len(set(tags)) == 2


def test_heads_and_wrong_methods(kit: Kit):
    """As for every other path."""
    head = kit.client.head("/static/app.js")

    assert (head.status_code, head.content) == (200, b"")
    assert kit.client.post("/static/app.js").status_code == 405
    assert kit.client.get("/static/").json()["code"] == "not_found"
    assert kit.client.get("/static/nothing.js").status_code == 404
    for path in ("/nothing", "/index.html/x"):
        assert kit.client.get(path).json()["detail"] == "there is nothing at this address"
    for path in ("/v1.0/removebg", "/api/v1/cutouts", "/api/v1/archives"):
        answer = kit.client.get(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST"), path
        assert "405" in answer.text or "method_not_allowed" in answer.text
