"""`cvunetd healthz`: the daemon's own answer, as an exit status."""

import socket
from http import HTTPStatus
from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon.cli import main
from daemon.commands import healthz
from daemon.config.addresses import SocketFile
from daemon.errors import UsageError
from daemon.reporting.endpoint import Endpoint, Response


def ask(folder: Path) -> tuple[int, str]:
    """Exit status and output."""
    config = folder / "config.yaml"
    config.write_text('metrics: {listen: "unix:m.sock"}\n')
    result = CliRunner().invoke(main, ["healthz", "--config", str(config)])
    return result.exit_code, result.output.strip()


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (HTTPStatus.OK, "alive", 0),
        (HTTPStatus.SERVICE_UNAVAILABLE, "no progress: the model hangs", 1),
    ],
)
def test_answer_decides(tmp_path: Path, status: HTTPStatus, text: str, expected: int):
    """The reason is printed in both cases."""
    pages = {"/healthz": lambda accept: Response(status, text.encode())}
    endpoint = Endpoint(SocketFile(tmp_path / "m.sock"), pages)
    endpoint.start()
    try:
        assert ask(tmp_path) == (expected, text)
    finally:
        endpoint.stop()


def test_no_daemon(tmp_path: Path):
    """Nobody listens."""
    status, text = ask(tmp_path)

    assert status == 1
    assert "no daemon answers at" in text


def test_daemon_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A stopped process takes connections and does not answer."""
    monkeypatch.setattr(healthz, "TIMEOUT_S", 0.2)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "m.sock"))
        listener.listen()

        status, text = ask(tmp_path)

    assert status == 1
    assert "no answer from" in text


def test_without_an_address(tmp_path: Path):
    """The error names the setting."""
    config = tmp_path / "config.yaml"
    config.write_text("{}\n")

    with pytest.raises(UsageError, match=r"metrics\.listen is not set"):
        healthz.ask(config)
