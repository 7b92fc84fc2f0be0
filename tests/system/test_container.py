"""The image, built on a Debian made here and run as docs/install.md says: hardened, not as root.

These tests run in CI. `make test-container` runs those of test_container_whole.py, too.
"""

import os
import signal
import stat
from pathlib import Path

import pytest

from tests.system import container_images
from tests.system.container_images import podman
from tests.system.container_kit import Container, running, wait_for
from tests.system.container_photos import READY, USER, comes_out, drop, options, results

pytestmark = [
    *(pytest.mark.podman, pytest.mark.slow, pytest.mark.timeout(1800)),
    pytest.mark.usefixtures("image"),
]

MAX_MB = 600


def status(container: Container) -> str:
    """What the daemon tells, as a person asks inside; it writes this every few seconds."""
    return podman("exec", container.name, "cvunetd", "status", "--json").stdout


def test_image_is_small_and_describes_itself():
    """Without torch; labels, stop signal, health check and a list of its parts."""
    inside = "cat /opt/cvunetd/share/cvunetd/sbom.cdx.json; cvunetd --version"
    told = podman(
        "run",
        "--rm",
        "--network=none",
        "--no-healthcheck",
        "--entrypoint=sh",
        container_images.IMAGE,
        "-c",
        inside,
    ).stdout
    image = container_images.checked("image", "inspect", container_images.IMAGE)

    assert container_images.unpacked_mb() < MAX_MB
    assert "torch: not installed" in told
    assert '"bomFormat": "CycloneDX"' in told
    assert '"name": "cvunet-daemon"' in told
    for text in ("org.opencontainers.image.licenses", '"SIGTERM"', '"healthz"', '"1000:1000"'):
        assert text in image


def test_life_of_a_photo(place: Path):
    """Found by its event across the mount; owner and mode as documented; SIGTERM drains."""
    with running(*options(place)) as container:
        assert container.says(READY), container.log()
        assert container.health()[0]
        drop(place, "photo.png")
        assert comes_out(place, "photo"), container.log()
        is_by_event = wait_for(lambda: '"event": 1' in status(container), patience_s=30.0)
        container.signal("TERM")
        ended = container.status()

    [result] = results(place, "photo")
    assert is_by_event
    assert (result.stat().st_uid, result.stat().st_gid) == (USER, USER)
    assert stat.S_IMODE(result.stat().st_mode) == 0o640
    assert stat.S_IMODE(result.parent.stat().st_mode) == 0o750
    assert ended == 0


def test_killed_daemon_resumes(place: Path):
    """What was taken is finished by the next start, once."""
    with running(*options(place)) as container:
        assert container.says(READY), container.log()
        for number in range(8):
            drop(place, f"many{number}.png")
        assert comes_out(place, "many"), container.log()
        container.signal("KILL")
        assert container.status() == 137
        container.start()
        assert wait_for(lambda: len(results(place, "many")) == 8, patience_s=120.0), container.log()

    assert not list((place / "hot").glob("*.png"))


def test_health_of_a_stopped_process(place: Path):
    """It answers nothing; once it goes on, it is well again."""
    with running(*options(place)) as container:
        assert container.says(READY), container.log()
        pid = int(container.inspected("{{.State.Pid}}"))
        os.kill(pid, signal.SIGSTOP)
        stopped = podman("exec", container.name, "cvunetd", "healthz")
        os.kill(pid, signal.SIGCONT)
        is_well = wait_for(lambda: container.health()[0], patience_s=30.0)

    assert (stopped.returncode, "no answer from" in stopped.stdout) == (1, True), stopped.stdout
    assert is_well


def test_wrong_owner_is_told(place: Path):
    """Both users, and what to do."""
    with running(*options(place, user=4321)) as container:
        assert container.status() == 78
        told = container.log()

    assert f"/srv/cvunetd belongs to {USER}:{USER}, and cvunetd runs as 4321:4321" in told
    assert f"--user {USER}:{USER}" in told
