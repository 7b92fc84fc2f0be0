"""The real daemon on a state disk that fills up: it lives, tells why it waits, and goes on."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.system.daemon_process import Daemon, call, wait_for
from tests.torture.mounts import mounted_tmpfs

pytestmark = [pytest.mark.slow, pytest.mark.root, pytest.mark.timeout(900)]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state folder of eight megabytes."""
    place = tmp_path / "state"
    place.mkdir()
    with mounted_tmpfs(place, "8M"):
        yield place


def fill(place: Path) -> Path:
    """Take all the space that is left."""
    filler = place / "filler"
    subprocess.run(
        ["dd", "if=/dev/zero", f"of={filler}", "bs=4k"], check=False, stderr=subprocess.DEVNULL
    )
    return filler


def status(daemon: Daemon) -> str:
    """What `cvunetd status` says."""
    return call(daemon.base, "status", "--config", daemon.config).stdout


def test_full_state_disk_ends_nothing(tmp_path: Path, state: Path) -> None:
    """Pictures dropped meanwhile come out after it, each once; the process stays the same."""
    daemon = Daemon(tmp_path, {"retention": {"min_free_mb": 0}})
    try:
        daemon.wait_ready()
        filler = fill(state)
        for number in range(8):
            Image.new("RGB", (40, 30), (number * 30, 90, 90)).save(daemon.hot / f"{number}.png")
        assert wait_for(lambda: "stands by" in daemon.told()), daemon.told()
        assert wait_for(lambda: "stands by" in status(daemon))
        told = status(daemon)
        assert not daemon.has_ended()
        filler.unlink()
        assert wait_for(lambda: len(daemon.results()) == 8), daemon.told()
        ended = daemon.terminate()
    finally:
        daemon.kill()

    assert "database or disk is full" in told
    assert ended == 0
    assert daemon.results() == {f"{number}.png" for number in range(8)}
    assert daemon.quarantined() == set()
