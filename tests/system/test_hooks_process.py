"""The real daemon and real listeners: told, killed in the middle, told again, reloaded, stopped."""

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import skimage
import yaml

from tests.hooks.hooks_kit import Answer, Receiver, Request, script
from tests.hooks.test_webhooks import context
from tests.system.daemon_process import SETTINGS, Daemon, call, wait_for

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]

PHOTO = Path(skimage.__file__).parent / "data" / "rocket.jpg"
OUTPUT = {"drop_idle_s": 1}
QUICK = {"model": SETTINGS["model"] | {"input_size": 64}, "output": OUTPUT}  # type: ignore[operator]


@pytest.fixture
def daemons() -> Iterator[list[Daemon]]:
    """Killed in the end."""
    started: list[Daemon] = []
    yield started
    for daemon in started:
        daemon.kill()


def start(daemons: list[Daemon], base: Path, hooks: dict[str, Any]) -> Daemon:  # Any: YAML
    """A life that is ready."""
    daemons.append(Daemon(base, QUICK | {"hooks": hooks}))
    daemons[-1].wait_ready()
    return daemons[-1]


def noting(base: Path) -> str:
    """A line that notes an event in a file of its own, whole: several may run at once."""
    return f"cat > {base}/$$.part; mv {base}/$$.part {base}/$$.told"


def told(base: Path) -> list[dict[str, Any]]:  # Any: JSON
    """What commands have been given."""
    return [json.loads(path.read_text()) for path in base.glob("*.told")]


def states(base: Path) -> dict[str, dict[str, Any]]:  # Any: JSON
    """What `cvunetd status` says of hooks."""
    found = call(base, "status", "--json", "--config", base / "config.yaml")
    hooks: dict[str, dict[str, Any]] = json.loads(found.stdout)["report"].get("hooks", {})
    return hooks


def delivered(base: Path) -> int:
    """How many notices all hooks have been told, as the status says it."""
    return sum(hook["delivered"] for hook in states(base).values())


def has_told(daemon: Daemon, words: tuple[str, ...]) -> bool:
    """The log has them."""
    return all(word in daemon.told() for word in words)


@pytest.mark.webhooks
def test_commands_and_webhooks(tmp_path: Path, daemons: list[Daemon]):
    """Every event, by both ways, with the secret nowhere in log and status."""
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "key").write_text("0123456789abcdef")
    script(tmp_path / "note", noting(tmp_path))
    statuses = iter([503, 503])
    with Receiver(context(authority, "localhost")).serving() as receiver:
        receiver.answer = lambda request: Answer(next(statuses, 204))
        webhook = {
            "url": receiver.url(path="/very-secret"),
            "name": "shop",
            "secret_file": "key",
            "ca_file": "ca.pem",
            "allow_private": True,
        }
        entries = [{"command": ["./note"]}, webhook]
        hooks = dict.fromkeys(("on_done", "on_failed", "on_drop_closed"), entries)
        daemon = start(daemons, tmp_path, hooks)
        shutil.copy(PHOTO, daemon.hot / "a.jpg")
        (daemon.hot / "bad.jpg").write_bytes(b"no picture")
        assert wait_for(lambda: len(told(tmp_path)) >= 3, patience_s=60), daemon.told()
        assert wait_for(lambda: len(receiver.requests) >= 5, patience_s=60), daemon.told()
        # The answers are written down later, and the status after them.
        assert wait_for(lambda: delivered(tmp_path) == 6, patience_s=60), states(tmp_path)
        found = states(tmp_path)
        shown = call(tmp_path, "status", "--config", tmp_path / "config.yaml").stdout
        status = daemon.terminate()

    by_command = sorted((one["event"], one.get("source")) for one in told(tmp_path))
    assert by_command[0][0] == "done"
    assert ("drop_closed", None) in sorted(by_command, key=str)
    assert ("failed", "bad.jpg") in by_command
    posted = {json.loads(request.body)["event"] for request in receiver.requests}
    assert posted == {"done", "failed", "drop_closed"}
    assert found["on_done:note"]["delivered"] == 1
    assert sum(one["retried"] for one in found.values()) == 2
    assert "hook on_done:shop: 1 delivered, 0 waiting" in shown
    assert "very-secret" not in daemon.told() + shown + json.dumps(found)
    assert status == 0


def test_killed_while_a_hook_is_told(tmp_path: Path, daemons: list[Daemon]):
    """The next life tells again, under the same id."""
    script(
        tmp_path / "note",
        f"echo $$ > {tmp_path}/pid",  # before the other: that is what is waited for
        noting(tmp_path),
        f"test -e {tmp_path}/quick || sleep 300",
    )
    hooks = {"on_done": [{"command": ["./note"]}]}
    daemon = start(daemons, tmp_path, hooks)
    shutil.copy(PHOTO, daemon.hot / "a.jpg")
    assert wait_for(lambda: len(told(tmp_path)) == 1, patience_s=60), daemon.told()
    daemon.kill()
    os.killpg(int((tmp_path / "pid").read_text()), signal.SIGKILL)  # as systemd would
    (tmp_path / "quick").touch()
    daemon = start(daemons, tmp_path, hooks)
    assert wait_for(lambda: len(told(tmp_path)) == 2, patience_s=60), daemon.told()
    assert wait_for(lambda: states(tmp_path)["on_done:note"]["delivered"] == 1, patience_s=30)

    first, second = told(tmp_path)
    assert first == second
    assert daemon.terminate() == 0


def test_reload_and_stop_beside_a_hook_that_hangs(tmp_path: Path, daemons: list[Daemon]):
    """SIGHUP brings another hook; SIGTERM ends the hanging one and keeps what waits for it."""
    script(tmp_path / "hang", f"echo $$ > {tmp_path}/pid; exec sleep 300")
    script(tmp_path / "note", noting(tmp_path))
    hang = {"command": ["./hang"], "timeout_s": 600}
    daemon = start(daemons, tmp_path, {"on_done": [hang]})
    shutil.copy(PHOTO, daemon.hot / "a.jpg")
    assert wait_for((tmp_path / "pid").exists, patience_s=60), daemon.told()
    for number, entry in enumerate(({"command": ["./gone"]}, {"command": ["./note"]})):
        content = yaml.safe_load(daemon.config.read_text())
        daemon.config.write_text(yaml.safe_dump(content | {"hooks": {"on_done": [hang, entry]}}))
        daemon.process.send_signal(signal.SIGHUP)
        words = ("is refused", "counts: 1 folders")[: number + 1]
        assert wait_for(partial(has_told, daemon, words), patience_s=30), daemon.told()
    shutil.copy(PHOTO, daemon.hot / "b.jpg")
    assert wait_for(lambda: len(told(tmp_path)) == 1, patience_s=60), daemon.told()
    before = time.monotonic()
    status = daemon.terminate()
    elapsed_s = time.monotonic() - before
    waiting = call(tmp_path, "status", "--config", daemon.config).stdout

    assert f"hooks.on_done[1]: {tmp_path}/gone is not there" in daemon.told()
    assert (status, elapsed_s < 30) == (0, True), elapsed_s
    assert "2 notices for hook on_done:hang wait for the next start" in daemon.told()
    assert "hook on_done:hang: 2 waiting" in waiting
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


@pytest.mark.webhooks
def test_once_tells_before_it_ends(tmp_path: Path):
    """For cron: whatever came out is told, if somebody listens."""
    requests: list[Request] = []
    with Receiver().serving() as receiver:
        hook = {"url": receiver.url(), "allow_private": True, "allow_http": True}
        settings = SETTINGS | QUICK | {"hooks": {"on_done": [hook]}}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
        (tmp_path / "hot").mkdir()
        shutil.copy(PHOTO, tmp_path / "hot/a.jpg")
        ended = call(tmp_path, "once", "--config", tmp_path / "config.yaml")
        requests = receiver.requests

    assert ended.returncode == 0, ended.stderr
    assert [json.loads(request.body)["source"] for request in requests] == ["a.jpg"]
