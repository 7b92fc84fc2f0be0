"""The examples of docs/hooks.md do what it says they do."""

import http.client
import importlib.util
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from daemon.hooks.commands import CommandSender
from daemon.hooks.signature import read_key
from daemon.notices import (
    Accepted,
    Command,
    Hook,
    PermanentFailure,
    Reply,
    TemporaryFailure,
    Webhook,
)
from tests.hooks.hooks_kit import notice

GUIDE = Path(__file__).parents[2] / "docs" / "hooks.md"


def example(name: str) -> str:
    """A program out of the guide."""
    found = re.search(
        rf"<!-- tested: {name} -->\n```python\n(.*?)```", GUIDE.read_text(), re.DOTALL
    )
    assert found is not None
    return found[1]


# --- the command ---------------------------------------------------------------------------


@pytest.fixture
def told(tmp_path: Path) -> Iterator[CommandSender]:
    """The command, with a share of its own."""
    program = tmp_path / "cutout-done"
    text = example("command").replace("/srv/share", str(tmp_path / "share"))
    program.write_text(text)
    program.chmod(0o755)
    command = Command((sys.executable, str(program)))
    yield CommandSender(Hook("on_done", "x", command), command, environment=dict(os.environ))


def event(result: Path, review: str = "null") -> str:
    """Of a picture that is done."""
    return f'{{"event": "done", "review": {review}, "job": "1", "result": "{result}"}}'


def test_command_waits_for_its_share(tmp_path: Path, told: CommandSender):
    """And then copies, twice the same."""
    result = tmp_path / "cat.png"
    result.write_bytes(b"png")
    away = told.send(notice(payload=event(result)))
    (tmp_path / "share").mkdir()
    replies = [told.send(notice(payload=event(result))) for _ in range(2)]

    assert isinstance(away, TemporaryFailure)
    assert [Accepted()] * 2 == replies
    assert [path.read_bytes() for path in (tmp_path / "share").iterdir()] == [b"png"]


def test_command_gives_up_what_has_gone(tmp_path: Path, told: CommandSender):
    """With a reason."""
    (tmp_path / "share").mkdir()

    reply = told.send(notice(payload=event(tmp_path / "gone.png")))

    assert isinstance(reply, PermanentFailure)
    assert "gone: " in reply.reason


# --- the receiver --------------------------------------------------------------------------


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ModuleType, int]]:
    """The module, and the port where it listens."""
    made = subprocess.run(
        ["sh", "-c", "printf 'whsec_%s' $(head -c 32 /dev/urandom | base64)"],
        capture_output=True,
        check=True,
    )
    (tmp_path / "shop-key.key").write_bytes(made.stdout)
    (tmp_path / "receiver.py").write_text(example("receiver"))
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("receiver", tmp_path / "receiver.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module.Receiver, "log_message", lambda *arguments: None)
    server = ThreadingHTTPServer(("127.0.0.1", 0), module.Receiver)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield module, server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.webhooks
def test_receiver_takes_what_is_signed(
    tmp_path: Path, receiver: tuple[ModuleType, int], capsys: pytest.CaptureFixture[str]
):
    """By our own sender."""
    _, port = receiver
    payload = '{"event": "done", "id": "done-1", "result": "/ü.png"}'

    reply = post(port, read_key(tmp_path / "shop-key.key"), payload)

    assert Accepted() == reply
    assert "done done-1 /ü.png" in capsys.readouterr().out


@pytest.mark.webhooks
@pytest.mark.parametrize("key", [b"another key, as long", None])
def test_receiver_refuses_what_is_not(receiver: tuple[ModuleType, int], key: bytes | None):
    """Another key, or none."""
    reply = post(receiver[1], key, '{"event": "done"}')

    assert isinstance(reply, PermanentFailure)
    assert reply.reason.startswith("answer 401")


def test_receiver_refuses_what_is_old(receiver: tuple[ModuleType, int]):
    """Or says that it is."""
    connection = http.client.HTTPConnection("127.0.0.1", receiver[1], timeout=50)
    headers = {"webhook-id": "1", "webhook-timestamp": "1", "webhook-signature": "v1,x"}
    connection.request("POST", "/", body=b"{}", headers=headers)
    status = connection.getresponse().status
    connection.close()

    assert status == 401


def post(port: int, key: bytes | None, payload: str) -> Reply:
    """As the daemon does."""
    from daemon.hooks.webhooks import WebhookSender

    url = f"http://127.0.0.1:{port}/"
    webhook = Webhook(url, key=key, allow_private=True)
    sender = WebhookSender(Hook("on_done", "x", webhook, timeout_s=10.0), webhook)
    try:
        return sender.send(notice(payload=payload))
    finally:
        sender.release()
