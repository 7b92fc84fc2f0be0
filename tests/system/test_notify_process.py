"""The real daemon, and what it tells a service manager on the notify socket."""

import re
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import skimage

from tests.system.daemon_process import PATIENCE_S, Daemon

pytestmark = [pytest.mark.systemd, pytest.mark.timeout(300)]

PHOTO = Path(skimage.__file__).parent / "data" / "astronaut.png"
#: By way of the folder that its reader works in: a temporary folder may be too deep for an address.
ADDRESS = "/proc/self/cwd/notify"
ASSIGNMENT = re.compile(r"[A-Z][A-Z0-9_]*=.*")
COUNTS = re.compile(r"STATUS=(\d+) done, (\d+) failed, (\d+) in work, (\d+) queued, .+ on cpu.*")


@dataclass
class Manager:
    """The end of the notify socket that systemd would hold."""

    server: socket.socket
    heard: list[str] = field(default_factory=list)
    """Every datagram so far."""

    def next(self) -> str | None:
        """One more datagram; None if none comes soon."""
        try:
            datagram = self.server.recv(65536).decode()
        except TimeoutError:
            return None
        self.heard.append(datagram)
        return datagram

    def wait_for(self, beginning: str, daemon: Daemon) -> str:
        """Listen until a datagram begins like this; what the log said when it came."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and not daemon.has_ended():
            datagram = self.next()
            if datagram is not None and datagram.startswith(beginning):
                return daemon.told()
        pytest.fail(f"no {beginning!r} in {self.heard}; the log:\n{daemon.told()}")

    def hear_out(self) -> None:
        """Take what is left after the daemon's end."""
        while self.next() is not None:
            pass

    @property
    def lines(self) -> list[str]:
        """All assignments, in their order."""
        return [line for datagram in self.heard for line in datagram.split("\n")]

    @property
    def counts(self) -> list[tuple[int, ...]]:
        """Done, failed, in work and queued, of every status line."""
        found = [COUNTS.fullmatch(line) for line in self.lines if line.startswith("STATUS=")]
        return [tuple(map(int, match.groups())) for match in found if match is not None]


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    """A listening notify socket in ``tmp_path``."""
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(ADDRESS)
        server.settimeout(0.5)
        yield Manager(server)


def test_systemd_is_told_of_a_whole_life(tmp_path: Path, manager: Manager) -> None:
    """Ready when it is, once; counts while it works; stopping when told to."""
    daemon = Daemon(tmp_path, extra_environment={"NOTIFY_SOCKET": ADDRESS})
    try:
        told_when_ready = manager.wait_for("READY=1", daemon)
        shutil.copy(PHOTO, daemon.hot)
        manager.wait_for("STATUS=1 done", daemon)
        before_the_signal = list(manager.lines)
        status = daemon.terminate()
    finally:
        daemon.kill()
    manager.hear_out()

    assert status == 0, daemon.told()
    assert "the model is warm" in told_when_ready
    assert f"watching {daemon.hot}" in told_when_ready
    assert manager.lines.count("READY=1") == 1
    loading = manager.lines[: manager.lines.index("READY=1")]
    assert "STATUS=warming up cpu for batches of 1" in loading
    assert "EXTEND_TIMEOUT_USEC=180000000" in loading
    assert manager.counts[0] == (0, 0, 0, 0)
    assert manager.counts[-1] == (1, 0, 0, 0)
    assert "STOPPING=1" not in before_the_signal
    assert manager.lines.count("STOPPING=1") == 1
    assert [line for line in manager.lines if not ASSIGNMENT.fullmatch(line)] == []


def test_status_stays_one_line(tmp_path: Path, manager: Manager) -> None:
    """A reason with line breaks, here from a folder's name, cannot pass for other assignments."""
    settings: dict[str, object] = {
        "output": {"root": "out\nMAINPID=1\nputs"},
        "retention": {"min_free_mb": 1e12},
    }
    daemon = Daemon(tmp_path, settings, extra_environment={"NOTIFY_SOCKET": ADDRESS})
    try:
        manager.wait_for("STATUS=0 done", daemon)
        daemon.terminate()
    finally:
        daemon.kill()
    manager.hear_out()

    told = [datagram for datagram in manager.heard if datagram.startswith("STATUS=0 done")]
    assert "hot stands by" in told[0]
    assert "MAINPID=1" in told[0]
    assert [line for line in manager.lines if line.startswith("MAINPID=")] == []
    assert [datagram for datagram in told if "\n" in datagram] == []
    assert [line for line in manager.lines if not ASSIGNMENT.fullmatch(line)] == []
