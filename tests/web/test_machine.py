"""Speed, disks and checks by HTTP."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.web import machine
from daemon.web.machine import Remembered
from daemon.web.problems import Problem
from daemon.web.programs import Programs
from daemon.web.redaction import redact
from tests.web.web_kit import Kit, running, wait_for

pytestmark = pytest.mark.web
V1 = "/api/v1"


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """Daemon and server."""
    with running(Kit(tmp_path)) as kit:
        yield kit


def test_speed(kit: Kit):
    """Each picture is in one minute, the newest last."""
    kit.wait(kit.upload())
    kit.wait(kit.upload(b"bad"), "failed")
    minutes = kit.client.get(f"{V1}/speed?minutes=5").json()["minutes"]

    assert len(minutes) == 5
    assert sum(one["done"] for one in minutes[-2:]) == 1
    assert sum(one["failed"] for one in minutes[-2:]) == 1


@pytest.mark.parametrize("path", ["speed?minutes=0", "speed?minutes=1441", "disks?x=1", "checks?x"])
def test_wrong_questions(kit: Kit, path: str):
    """Each is refused."""
    assert kit.client.get(f"{V1}/{path}").status_code == 400


def test_speed_without_a_ledger(tmp_path: Path):
    """The daemon has never run."""
    with running(Kit(tmp_path, is_daemon_up=False)) as kit:
        minutes = kit.client.get(f"{V1}/speed").json()["minutes"]

        assert minutes == [{"done": 0, "failed": 0}] * 60


def test_disks(kit: Kit):
    """One line for each disk, without a path."""
    # A disk that is slow to answer is not waited for.
    assert wait_for(lambda: kit.client.get(f"{V1}/disks").status_code == 200)
    answer = kit.client.get(f"{V1}/disks")
    [disk] = answer.json()["disks"]

    assert 0 < disk["free_bytes"] <= disk["total_bytes"]
    assert str(kit.base) not in answer.text


def test_checks(kit: Kit):
    """What `cvunetd doctor` says, without whole paths; the second answer is remembered."""
    path = kit.base / "config.yaml"
    path.write_text("folders: [{path: hot}]\nweb: {folder: uploads}\n")
    kit.server.site.settings = replace(kit.server.site.settings, config_path=path)
    assert wait_for(lambda: kit.client.get(f"{V1}/checks").status_code == 200)
    answer = kit.client.get(f"{V1}/checks")
    path.unlink()
    again = kit.client.get(f"{V1}/checks")

    assert answer.status_code == 200, answer.text
    assert answer.json()["findings"]
    assert str(kit.base) not in answer.text
    assert again.json() == answer.json()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("/srv/photos/hot: closed to cvunetd", "…/hot: closed to cvunetd"),
        ("install -m 0644 '/etc/x/a.conf' /usr", "install -m 0644 '…/a.conf' …/usr"),
        ("https://me:key@shop.example/hook?token=1 fails", "https://shop.example fails"),
        ("1/2 of it, a/b stay", "1/2 of it, a/b stay"),
        ("猫 in /srv/猫/hot/", "猫 in …/hot"),
    ],
)
def test_what_is_redacted(text: str, wanted: str):
    """Paths but for their last part, and all of an address but its host."""
    assert redact(text) == wanted


def test_what_takes_long_has_a_code_of_its_own(kit: Kit, monkeypatch: pytest.MonkeyPatch):
    """A client may ask again, and nothing is wrong."""
    monkeypatch.setattr(machine, "CHECKS_PATIENCE_S", 0.0)
    answer = kit.client.get(f"{V1}/checks")

    assert (answer.status_code, answer.json()["code"]) == (503, "takes_long")
    assert int(answer.headers["retry-after"]) > 0


def test_what_is_remembered_does_not_outlive_a_clock_that_is_set_back():
    """Not for an hour, because the clock was set back by an hour."""
    looks: list[int] = []
    now = [10_000.0]

    async def look() -> dict[str, object]:
        looks.append(1)
        return {"look": len(looks)}

    async def ask_twice() -> list[dict[str, object]]:
        one = Remembered(look, life_s=10, clock=lambda: now[0])
        first = await one.get(patience_s=1)
        now[0] -= 3600
        return [first, await one.get(patience_s=1)]

    assert asyncio.run(ask_twice()) == [{"look": 1}, {"look": 2}]


def test_a_check_that_hangs_does_not_hold_up_the_stop(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """On a dead disk `cvunetd doctor` may take a minute; it is ended."""
    monkeypatch.setattr(machine, "DOCTOR", ("sleep", "60"))
    monkeypatch.setattr(machine, "CHECKS_PATIENCE_S", 0.0)
    assert kit.client.get(f"{V1}/checks").json()["code"] == "takes_long"
    site = kit.server.site
    assert wait_for(lambda: site.programs.running)
    kit.client.close()
    began = time.monotonic()
    kit.server.stop()

    assert time.monotonic() - began < 30
    assert not site.programs.running
    assert not caplog.records


def test_a_stopped_server_begins_no_program():
    """One that waited for a thread would hold the stop up."""
    programs = Programs()
    programs.close()

    with pytest.raises(Problem, match="the server stops"):
        programs.run(("true",), timeout_s=1)
