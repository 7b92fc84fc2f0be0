"""Uploads that wait a moment for room instead of being refused at once."""

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from daemon.web import limits
from daemon.web.problems import Problem, busy
from tests.web.web_kit import PATIENCE_S, Kit, running, wait_for

pytestmark = pytest.mark.web
V1 = "/api/v1/pictures"


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Kit]:
    """A server whose only place is taken."""
    with running(Kit(tmp_path, web={"max_waiting": 1}, is_daemon_up=False)) as kit:
        kit.upload(b"first")
        yield kit


def send(kit: Kit, body: bytes) -> httpx.Response:
    """Upload on a connection of its own."""
    return httpx.post(f"{kit.server.url}{V1}?name=a.jpg", content=body, timeout=PATIENCE_S)


def make_room(kit: Kit) -> None:
    """Take the picture away that waits, as the daemon does."""
    for folder in kit.uploads.iterdir():
        if folder.name[0] != ".":
            shutil.rmtree(folder)


def count_refusals(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list that grows with each look at a full folder."""
    looks: list[float] = []

    def noted(detail: str) -> Problem:
        looks.append(time.monotonic())
        return busy(detail)

    monkeypatch.setattr("daemon.web.site.busy", noted)
    return looks


def test_an_upload_waits_for_room(full: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is taken as soon as the daemon has taken another one: the client sends it once."""
    monkeypatch.setattr(limits, "ROOM_S", PATIENCE_S)
    looks = count_refusals(monkeypatch)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(send, full, b"second")
        assert wait_for(lambda: len(looks) > 2)
        make_room(full)

        assert answer.result().status_code == 202


def test_uploads_that_wait_get_room_one_by_one(full: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """One place is given to one of them; the others wait on and are refused in the end."""
    monkeypatch.setattr(limits, "ROOM_S", 10.0)  # room is made within
    looks = count_refusals(monkeypatch)
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(send, full, b"%d" % number) for number in range(4)]
        assert wait_for(lambda: len(looks) > 6)
        make_room(full)

        statuses = sorted(answer.result().status_code for answer in answers)
    assert statuses == [202, 429, 429, 429]


def test_only_so_many_wait(full: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is refused at once, so that connections are left for others."""
    monkeypatch.setattr(limits, "ROOM_S", PATIENCE_S)
    monkeypatch.setattr(limits, "MAX_SEEKING", 0)

    answer = send(full, b"one too many")

    assert answer.status_code == 429
    assert answer.elapsed.total_seconds() < PATIENCE_S / 2


def test_without_room_it_is_refused_after_a_moment(
    full: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same answer as before, and nothing of it stays."""
    monkeypatch.setattr(limits, "ROOM_S", 0.2)
    before = full.left()

    answer = send(full, b"second")

    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert full.left() == before


def test_more_pictures_than_there_is_room_for_are_refused_for_good(tmp_path: Path) -> None:
    """To try again later would never help; as many as may wait are taken."""
    with running(Kit(tmp_path, web={"max_waiting": 2}, is_daemon_up=False)) as kit:
        files = [("image", (f"{number}.jpg", b"picture")) for number in range(3)]
        refused = kit.client.post(V1, files=files)
        taken = kit.client.post(V1, files=files[:2])

    assert (refused.status_code, refused.json()["code"]) == (413, "too_many_pictures")
    assert "at most 2" in refused.json()["detail"]
    assert taken.status_code == 202
