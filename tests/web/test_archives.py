"""Any pictures as one zip: prepared with a key, fetched by its address alone."""

import io
import os
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daemon.commands.web import new_key
from daemon.jobs import Hint
from daemon.ledger.ledger import Drop
from daemon.messages import FileEvent
from daemon.web import archives
from daemon.web.archives import safe_folder
from daemon.web.drops import zip_members
from daemon.web.problems import Problem
from daemon.web.zips import free_name
from tests.web.web_kit import Kit, running, wait_for

pytestmark = pytest.mark.web
V1 = "/api/v1/archives"
DONE = {"done": 1}


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """Daemon and server; each picture comes into a drop of its own."""
    with running(Kit(tmp_path, settings={"output": {"drop_max_files": 1}})) as kit:
        yield kit


def fetched(kit: Kit, **wish: object) -> dict[str, bytes]:
    """The files of the zip that is made for a wish."""
    made = kit.client.post(V1, json=wish)
    assert made.status_code == 201, made.text
    content = kit.client.get(made.json()["href"]).content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_pictures_of_several_drops(kit: Kit):
    """In the folders that are asked for; equal names are told apart."""
    ids = []
    for number in range(3):
        ids.append(kit.upload(b"%d" % number, name="cat.jpg"))
        kit.wait(ids[-1])
    places = [{"id": ids[0], "folder": "red/shoes"}, ids[1], {"id": ids[2]}]

    assert fetched(kit, pictures=places) == {
        "red/shoes/cat.png": b"0",
        "cat.png": b"1",
        "cat (2).png": b"2",
    }
    assert set(fetched(kit, pictures=[ids[0]], originals=True)) == {"cat.png", "originals/cat.jpg"}


def test_names_in_a_zip_lead_nowhere_on_any_system(kit: Kit):
    """A backslash parts folders on Windows; originals keep such names only on the disk."""
    for name in ("a\\..\\evil.jpg", "a|..|evil.jpg", os.fsdecode(b"caf\xe9.jpg")):
        path = kit.base.resolve() / "hot" / name
        path.write_bytes(b"picture")
        kit.inbox.put(FileEvent("hot", path, Hint.MOVED))
    drops = (1, 2, 3)
    counts = [f"/api/v1/drops/{drop}" for drop in drops]
    assert wait_for(lambda: all(kit.client.get(one).status_code == 200 for one in counts))
    assert wait_for(lambda: all(kit.client.get(one).json()["counts"] == DONE for one in counts))
    found = [set(fetched(kit, drop=drop, originals=True)) for drop in drops]
    names = sorted(name for names in found for name in names if name.startswith("originals/"))
    plain = zipfile.ZipFile(io.BytesIO(kit.client.get(f"{counts[0]}.zip?originals=true").content))

    assert names == [*["originals/a_.._evil.jpg"] * 2, "originals/caf_.jpg"]
    assert not any("\\" in name for name in plain.namelist())


def test_equal_names_in_a_zip_are_told_apart(tmp_path: Path):
    """Two names may be one where a letter is refused."""
    drop = Drop(1, "hot", tmp_path, 0.0, 0.0)
    members = [Path("originals/a|b.jpg"), Path("originals/a?b.jpg"), Path("manifest.json")]

    assert zip_members(drop, members) == [
        (tmp_path / "originals/a|b.jpg", "originals/a_b.jpg"),
        (tmp_path / "originals/a?b.jpg", "originals/a_b (2).jpg"),
        (tmp_path / "manifest.json", "manifest.json"),
    ]


def test_what_is_not_done_is_counted(kit: Kit):
    """And left out; without anything there is no zip."""
    good, bad = kit.upload(), kit.upload(b"bad")
    kit.wait(good)
    kit.wait(bad, "failed")
    made = kit.client.post(V1, json={"pictures": [good, bad, "f" * 22]}).json()
    nothing = kit.client.post(V1, json={"pictures": [bad]})

    assert (made["files"], made["missing"]) == (1, 2)
    assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing_done")


def test_a_drop(kit: Kit):
    """As `drops/{id}.zip`, but without a key."""
    kit.wait(kit.upload(b"content"))

    assert fetched(kit, drop=1)["cat.png"] == b"content"
    assert kit.client.post(V1, json={"drop": 99}).status_code == 404


@pytest.mark.parametrize(
    "wish",
    [
        *({}, [], {"pictures": []}, {"pictures": "x"}, {"pictures": ["x"]}, {"pictures": [1]}),
        *({"pictures": [{}]}, {"pictures": [{"id": "a" * 22, "other": 1}]}, {"drop": "1"}),
        *({"drop": True}, {"drop": 1, "pictures": ["a" * 22]}, {"drop": 1, "other": 1}),
        *({"drop": 1, "originals": 1}, {"pictures": ["a" * 22], "name": 1}),
        {"pictures": [{"id": "a" * 22, "folder": "/".join("abcdefghijklmnopqrstuvw")}]},
        {"pictures": [{"id": "a" * 22, "folder": 1}]},
        {"pictures": ["a" * 22] * 10_001},
    ],
    ids=lambda wish: str(wish)[:60],
)
def test_wrong_wishes(kit: Kit, wish: object):
    """Each is refused."""
    assert kit.client.post(V1, json=wish).status_code == 400


def test_as_many_pictures_as_are_allowed(kit: Kit):
    """Each with a folder: that many values are read."""
    one = {"id": "a" * 22, "folder": "red, green, blue"}
    answer = kit.client.post(V1, json={"pictures": [one] * archives.MAX_PICTURES})

    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_done")


def test_a_wish_of_a_million_lists_is_not_read(kit: Kit):
    """Each would take 72 bytes of memory: it is refused before."""
    body = b'{"pictures": [' + b"[]," * 1_000_000 + b"0]}"
    tracemalloc.start()
    try:
        answer = kit.client.post(V1, content=body)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")
    assert peak_bytes < 20_000_000


@pytest.mark.parametrize("token", ["x", "..", "%2e%2e%2fx", "a" * 32])
def test_unknown_addresses(kit: Kit, token: str):
    """404; they cannot be guessed."""
    assert kit.client.get(f"{V1}/{token}.zip").status_code == 404


def test_an_address_ends(kit: Kit):
    """After an hour."""
    kit.wait(kit.upload())
    href = kit.client.post(V1, json={"drop": 1}).json()["href"]
    assert kit.client.get(href).status_code == 200
    later = kit.server.site.clock() + archives.LIFE_S + 1
    kit.server.site.clock = lambda: later

    assert kit.client.get(href).status_code == 404


def test_the_first_address_goes_when_there_are_many(kit: Kit):
    """They are in memory."""
    kit.wait(kit.upload())
    hrefs = [
        kit.client.post(V1, json={"drop": 1}).json()["href"] for _ in range(archives.MAX_KEPT + 1)
    ]

    assert kit.client.get(hrefs[0]).status_code == 404
    assert kit.client.get(hrefs[1]).status_code == 200


def test_only_fetching_needs_no_key(tmp_path: Path):
    """A link of a page cannot send one."""
    key, line = (text.partition(": ")[2] for text in new_key("shop"))
    (tmp_path / "keys").write_text(line)
    (tmp_path / "keys").chmod(0o600)
    with running(Kit(tmp_path, web={"keys_file": "keys"})) as kit:
        headers = {"X-Api-Key": key}
        files = {"image": ("cat.jpg", b"content")}
        sent = kit.client.post("/api/v1/pictures", files=files, headers=headers)
        kit.client.headers = httpx.Headers(headers)
        kit.wait(sent.json()["pictures"][0]["id"])
        href = kit.client.post(V1, json={"drop": 1}).json()["href"]
        kit.client.headers = httpx.Headers()

        assert kit.client.post(V1, json={"drop": 1}).status_code == 401
        assert kit.client.get(href).status_code == 200
        assert kit.client.get("/api/v1/drops").status_code == 401


def test_the_log_does_not_tell_where_a_zip_is(kit: Kit, caplog: pytest.LogCaptureFixture):
    """Whoever knows the address needs no key; a wrong beginning may be a slip."""
    kit.wait(kit.upload())
    href = kit.client.post(V1, json={"drop": 1}).json()["href"]
    caplog.set_level("DEBUG")
    with httpx.Client(base_url=kit.server.url) as client:
        statuses = [client.get(f"{start}{href}").status_code for start in ("", "/x/")]

    assert statuses == [200, 404]
    lines = ("GET /api/v1/archives/….zip: 200", "GET /x//api/v1/archives/….zip: 404")
    # The answer may be here before its line.
    assert wait_for(lambda: all(line in caplog.text for line in lines))
    ours = [one for one in caplog.records if not one.name.startswith(("httpx", "httpcore"))]
    assert not any(href.rpartition("/")[2][:8] in one.getMessage() for one in ours)


# --- names in the zip --------------------------------------------------------------------------


@given(st.text(max_size=60))
@example("~")
def test_a_folder_in_a_zip_leads_nowhere_else(text: str):
    """Whatever a client sends."""
    try:
        parts = safe_folder(text).split("/")
    except Problem:
        return

    assert not {"..", ".", "~"} & set(parts)
    assert not any("\\" in part or ":" in part or "\0" in part for part in parts)


@given(st.lists(st.sampled_from(["a.png", "A.png", "a (2).png", "b/a.png"]), max_size=12))
def test_no_name_comes_twice(given_names: list[str]):
    """Not even in another case."""
    from pathlib import PurePosixPath

    taken: set[str] = set()
    names = [free_name(PurePosixPath(one), taken) for one in given_names]

    assert len({name.lower() for name in names}) == len(names)
