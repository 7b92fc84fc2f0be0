"""The real daemon asked by monitors: loading, serving, standing by, stopping."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.config.addresses import SocketFile
from tests.reporting.test_endpoint import ask
from tests.system.daemon_process import Daemon, wait_for


def answer(address: SocketFile, path: str) -> tuple[int, str]:
    """Status and body; 0 while nobody listens."""
    try:
        status, _, body = ask(address, path)
    except OSError:
        return 0, ""
    return status, body.decode()


@pytest.fixture
def daemons() -> Iterator[list[Daemon]]:
    """Killed in the end."""
    started: list[Daemon] = []
    yield started
    for daemon in started:
        daemon.kill()


@pytest.mark.metrics
@pytest.mark.timeout(600)
def test_life(tmp_path: Path, daemons: list[Daemon]):
    """Not ready while it loads, then ready, one picture counted; no socket is left behind."""
    daemon = Daemon(tmp_path, {"metrics": {"listen": "unix:metrics.sock"}})
    daemons.append(daemon)
    address = SocketFile(tmp_path / "metrics.sock")
    seen: list[int] = []

    def is_ready() -> bool:
        seen.append(answer(address, "/readyz")[0])
        return seen[-1] == 200

    assert wait_for(is_ready), daemon.told()
    alive = answer(address, "/healthz")
    (daemon.hot / "note.jpg").write_bytes(b"no picture")
    is_counted = wait_for(
        lambda: 'folder="hot",outcome="failed"} 1.0' in answer(address, "/metrics")[1]
    )
    status = daemon.terminate()

    assert 503 in seen
    assert alive == (200, "alive\n")
    assert is_counted, daemon.told()
    assert (status, address.path.exists()) == (0, False)


@pytest.mark.metrics
def test_address_that_cannot_be_had(tmp_path: Path, daemons: list[Daemon]):
    """A person is needed: 78, and one line."""
    daemon = Daemon(tmp_path, {"metrics": {"listen": "unix:absent/metrics.sock"}})
    daemons.append(daemon)
    status = daemon.process.wait(60)

    assert status == 78
    assert "cvunetd: metrics.listen: " in daemon.told()


@pytest.mark.metrics
def test_missing_library(tmp_path: Path, daemons: list[Daemon]):
    """Said with the command that installs it; asked for and absent is a fault."""
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent/prometheus_client.py").write_text("raise ImportError(name=__name__)\n")
    root = Path(__file__).parents[2]
    daemon = Daemon(
        tmp_path,
        {"metrics": {"listen": "unix:metrics.sock"}},
        extra_environment={"PYTHONPATH": f"{tmp_path}/absent:{root}"},
    )
    daemons.append(daemon)

    assert daemon.process.wait(60) == 78
    assert "prometheus_client is missing: pip install 'cvunet-daemon[metrics]'" in daemon.told()
