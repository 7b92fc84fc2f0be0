"""Drops by HTTP: listed, as a zip, closed; and events."""

import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest

from daemon.ledger.ledger import Drop, Ending
from daemon.ledger.records import Records
from daemon.reporting.latest_snapshot import LatestSnapshot
from daemon.web import limits
from daemon.web.events import Observer
from daemon.web.records import LedgerView
from daemon.web.site import Site
from daemon.web.sources import OwnProcess
from daemon.web.zips import zip_of
from tests.web.web_kit import PATIENCE_S, Kit, running, wait_for

pytestmark = pytest.mark.web
V1 = "/api/v1/drops"


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """Server and daemon; drops stay open."""
    with running(Kit(tmp_path, settings={"output": {"drop_idle_s": 600}})) as kit:
        yield kit


def unzipped(content: bytes) -> dict[str, bytes]:
    """The files of a zip."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_drop_with_its_pictures(kit: Kit):
    """Good and bad ones; no path of this machine."""
    good, bad = kit.upload(), kit.upload(b"bad")
    kit.wait(good)
    kit.wait(bad, "failed")
    [summary] = kit.client.get(V1).json()["drops"]
    answer = kit.client.get(summary["href"])
    found = {one["upload"]: one for one in answer.json()["pictures"]}

    assert summary["counts"] == {"done": 1, "failed": 1}
    assert found[good]["result"] == "cat.png"
    assert found[bad]["reason"] == "not a picture"
    assert str(kit.base) not in answer.text


def test_a_drop_as_a_zip(kit: Kit):
    """Results and manifest; originals if they are asked for; what was deleted is left out."""
    for name in ("a.jpg", "b.jpg", "猫.jpg"):
        kit.wait(kit.upload(name.encode(), name=name))
    [removed] = kit.base.glob("outputs/*/b.png")
    removed.unlink()
    small = unzipped(kit.client.get(f"{V1}/1.zip").content)
    large = unzipped(kit.client.get(f"{V1}/1.zip?originals=true").content)

    assert set(small) == {"a.png", "猫.png", "manifest.json"}
    assert set(large) == {*small, "originals/a.jpg", "originals/b.jpg", "originals/猫.jpg"}
    assert small["猫.png"] == "猫.jpg".encode()
    assert json.loads(small["manifest.json"])["version"]


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.get(f"{V1}/1"),
        lambda client: client.get(f"{V1}/1.zip"),
        lambda client: client.post("/api/v1/archives", json={"drop": 1}),
    ],
    ids=["drop", "zip", "archive"],
)
def test_a_large_drop_does_not_hold_other_clients_up(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, ask: Callable[[httpx.Client], httpx.Response]
):
    """They are answered while its rows are read."""
    kit.wait(kit.upload())
    real, has_begun, is_answered = Records.endings, threading.Event(), threading.Event()

    def slow(records: Records, drop: Drop) -> list[Ending]:
        has_begun.set()
        is_answered.wait(2 * PATIENCE_S)
        return real(records, drop)

    monkeypatch.setattr(Records, "endings", slow)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(ask, kit.client)
        assert has_begun.wait(PATIENCE_S)
        try:
            status = kit.client.get("/api/v1/drops")
        finally:
            is_answered.set()

    assert (status.status_code, asked.result().is_success) == (200, True)


def test_a_zip_is_made_in_small_steps(tmp_path: Path):
    """Whatever the size of a file, no more than a chunk is in memory."""
    (tmp_path / "large.png").write_bytes(b"x" * 3_000_000)
    (tmp_path / "link.png").symlink_to("/etc/passwd")
    names = ("large.png", "link.png", "gone")
    pieces = list(zip_of(((tmp_path.resolve() / name, name) for name in names), str))

    assert max(map(len, pieces)) < limits.CHUNK_BYTES + 1000
    assert unzipped(b"".join(pieces)) == {"large.png": b"x" * 3_000_000}


@pytest.mark.parametrize(
    "drop", ["2", "0", "x", "-1", "1.zip.zip", "99999999999999999999", "9" * 5000, "\uff12"]
)
def test_unknown_drops(kit: Kit, drop: str):
    """404 in every form."""
    kit.wait(kit.upload())

    assert kit.client.get(f"{V1}/{drop}").status_code == 404
    assert kit.client.get(f"{V1}/{drop}.zip").status_code == 404


def test_a_drop_is_closed_by_request(kit: Kit):
    """The next picture comes into another one."""
    kit.wait(kit.upload())
    answer = kit.client.post(f"{V1}/1/close")
    assert wait_for(lambda: kit.client.get(f"{V1}/1").json()["closed_at"])
    kit.wait(kit.upload())

    assert answer.status_code == 202
    assert [one["id"] for one in kit.client.get(V1).json()["drops"]] == [2, 1]
    assert [one["id"] for one in kit.client.get(f"{V1}?before=2&limit=1").json()["drops"]] == [1]


def test_a_page_may_be_shorter_than_the_list(tmp_path: Path):
    """`next` goes on where rows are left out, here folders that are about to be deleted."""
    with running(Kit(tmp_path)) as kit:
        for number in range(1, 5):
            kit.wait(kit.upload(b"%d" % number))
            kit.client.post(f"{V1}/{number}/close")
            assert wait_for(partial(is_closed, kit, number))
    with running(Kit(tmp_path, is_daemon_up=False)) as kit:
        for number in (3, 4):
            assert kit.client.delete(f"{V1}/{number}").status_code == 202

        assert pages(kit, limit=2) == [[], [2, 1]]
        assert pages(kit, limit=1) == [[], [], [2], [1]]
        assert pages(kit, limit=3) == [[2], [1]]
        assert pages(kit, limit=50) == [[2, 1]]


def is_closed(kit: Kit, number: int) -> bool:
    """Whether a drop takes no more pictures."""
    return kit.client.get(f"{V1}/{number}").json()["closed_at"] is not None


def pages(kit: Kit, *, limit: int) -> list[list[int]]:
    """The ids on each page, until there is no next one."""
    found, before = [], ""
    while True:
        content = kit.client.get(f"{V1}?limit={limit}{before}").json()
        found.append([one["id"] for one in content["drops"]])
        if content["next"] is None:
            return found
        before = f"&before={content['next']}"


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "limit=201", f"limit={'9' * 5000}", "before=-1", "other=1"]
)
def test_wrong_parameters(kit: Kit, query: str):
    """Each is named."""
    assert kit.client.get(f"{V1}?{query}").status_code == 400


def test_a_deleted_drop_is_gone(kit: Kit):
    """By a person: its row is still there for a while."""
    kit.wait(kit.upload())
    [drop] = kit.base.glob("outputs/outputs_*")
    drop.rename(kit.base / "elsewhere")

    assert kit.client.get(f"{V1}/1.zip").status_code == 410


# --- events ----------------------------------------------------------------------------------


def listen(url: str, events: list[tuple[str, dict[str, object]]], ready: threading.Event) -> None:
    """Collect events until the server hangs up."""
    with httpx.stream("GET", f"{url}/api/v1/events", timeout=30) as answer:
        ready.set()
        kind = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                events.append((kind, json.loads(line.removeprefix("data: "))))


def test_stages_of_long_work_are_told(tmp_path: Path):
    """Each time that the daemon reports another one."""
    with running(Kit(tmp_path, is_held=True)) as kit:
        upload_id = kit.upload()
        kit.wait(upload_id, "running")
        own = kit.server.site
        site = Site(own.settings, LedgerView(own.ledger.path), OwnProcess(LatestSnapshot()))
        [job] = site.ledger.uploads.rows(upload_id)
        observer, told = Observer(site), []
        for stage in ("decode", "decode", "finish"):
            site.source.report = partial(dict, work={job.id: stage})  # type: ignore[method-assign]
            told += [one.get("stage") for kind, one in observer.look() if kind == "running"]
        site.close()

        assert told == ["decode", "finish"]


def test_events_tell_what_happens(kit: Kit):
    """Of each picture its end, with its id; and the stream ends with the server."""
    events: list[tuple[str, dict[str, object]]] = []
    ready = threading.Event()
    listener = threading.Thread(target=listen, args=(kit.server.url, events, ready))
    listener.start()
    assert ready.wait(50)
    good, bad = kit.upload(), kit.upload(b"bad")

    def ends() -> set[tuple[str, object]]:
        return {(kind, one.get("id")) for kind, one in events if kind in ("done", "failed")}

    assert wait_for(lambda: ends() == {("done", good), ("failed", bad)})
    kit.server.site.source.report = lambda: {"standby": {"web": "full"}}  # type: ignore[method-assign]
    assert wait_for(lambda: ("standby", {"folders": {"web": "full"}}) in events)
    kit.server.stop()
    listener.join(50)
    assert not listener.is_alive()
