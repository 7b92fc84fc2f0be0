"""The image, built on a Debian made here and run as docs/install.md says: hardened, not as root."""

import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import skimage

from tests.system import container_kit
from tests.system.container_kit import Container, podman, running, wait_for

pytestmark = [pytest.mark.podman, pytest.mark.slow, pytest.mark.timeout(1800)]

PHOTO = Path(skimage.__file__).parent / "data" / "astronaut.png"
READY, MAX_MB = "watching /srv/cvunetd/hot", 600
USER = 1234
#: A model that hangs while a file is there, and a daemon that notices it in seconds.
HANGING = """
import time
from pathlib import Path
from cvunet.inference.onnx_predictor import OnnxPredictor
from daemon.service import liveness
liveness.DEFAULT_WATCHDOG_S = 8.0
answer = OnnxPredictor.predict
def predict(self, batch):
    while Path("/srv/cvunetd/hang").exists():
        time.sleep(0.1)
    return answer(self, batch)
OnnxPredictor.predict = predict
from daemon.cli import main
main()
"""


@pytest.fixture(scope="module", autouse=True)
def image() -> None:
    """Built once; a second time only what has changed."""
    container_kit.build()


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder on this machine that belongs to the container's user."""
    with tempfile.TemporaryDirectory(prefix="cvunetd-pictures-") as name:
        os.chown(name, USER, USER)
        yield Path(name)


def options(place: Path, *, mode: str = "rw", user: int = USER) -> tuple[str, ...]:
    """The folder is mounted, and its owner runs the daemon."""
    return ("--user", f"{user}:{user}", "--volume", f"{place}:/srv/cvunetd:{mode}")


def drop(place: Path, name: str) -> None:
    """Drop a photo from outside."""
    shutil.copy(PHOTO, place / "hot" / f".{name}.part")
    os.chown(place / "hot" / f".{name}.part", USER, USER)
    (place / "hot" / f".{name}.part").rename(place / "hot" / name)


def results(place: Path, stem: str) -> list[Path]:
    """Cut-outs of a photo, in all drops."""
    return sorted((place / "outputs").glob(f"outputs_*/{stem}*.png"))


def comes_out(place: Path, stem: str) -> bool:
    """Soon."""
    return wait_for(lambda: bool(results(place, stem)), patience_s=90.0)


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
        container_kit.IMAGE,
        "-c",
        inside,
    ).stdout
    image = container_kit.checked("image", "inspect", container_kit.IMAGE)

    assert container_kit.unpacked_mb() < MAX_MB
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


def test_key_is_shown_once(place: Path):
    """At the first start, and not at the second."""
    with running(*options(place)) as container:
        assert container.says(READY), container.log()
        first = container.log().count("shown only now")
    with running(*options(place)) as container:
        assert container.says(READY), container.log()
        second = container.log().count("shown only now")

    assert (first, second) == (1, 0)


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


def test_health_of_a_hanging_model(place: Path):
    """The health check goes bad and names what hangs; it is well when the model goes on."""
    (place / "hanging.py").write_text(HANGING)
    (place / "hang").touch()
    program = ("--entrypoint", "/opt/cvunetd/bin/python")
    command = ("/srv/cvunetd/hanging.py", "run", "--make-missing")
    with running(*options(place), *program, command=command) as container:
        (place / "hang").unlink()  # warming up is a prediction, too
        assert container.says(READY), container.log()
        (place / "hang").touch()
        drop(place, "stuck.png")
        is_bad = wait_for(lambda: not container.health()[0], patience_s=60.0)
        reason = container.health()[1]
        (place / "hang").unlink()
        assert comes_out(place, "stuck")
        is_well = wait_for(lambda: container.health()[0], patience_s=30.0)

    assert is_bad
    assert "no progress" in reason
    assert is_well


def test_wrong_owner_is_told(place: Path):
    """Both users, and what to do."""
    with running(*options(place, user=4321)) as container:
        assert container.status() == 78
        told = container.log()

    assert f"/srv/cvunetd belongs to {USER}:{USER}, and cvunetd runs as 4321:4321" in told
    assert f"--user {USER}:{USER}" in told


def test_read_only_mount_is_told(place: Path):
    """Nothing can be made in it."""
    with running(*options(place, mode="ro")) as container:
        assert container.status() == 78
        told = container.log()

    assert (
        "/srv/cvunetd is read-only: mount a folder there that may be written, without :ro" in told
    )


def test_read_only_hot_folder_is_told(place: Path):
    """Pictures cannot be taken; the line says what to mount or to set."""
    (place / "hot").mkdir()
    hot = ("--volume", f"{place}/hot:/srv/cvunetd/hot:ro")
    with running(*options(place), *hot) as container:
        assert container.status() == 78
        told = container.log()

    assert "folder /srv/cvunetd/hot is read-only" in told
    assert "mount it without :ro, or set originals: keep" in told


def test_folders_of_their_own(place: Path):
    """Hot folder, outputs and state as three mounts: pictures are copied between them."""
    mounts = []
    for name in ("hot", "outputs", "state"):
        with_name = place / name
        with_name.mkdir()
        os.chown(with_name, USER, USER)
        mounts += ["--volume", f"{with_name}:/srv/cvunetd/{name}"]
    with running(*options(place), *mounts) as container:
        assert container.says(READY), container.log()
        drop(place, "apart.png")
        assert comes_out(place, "apart"), container.log()


def test_second_container_is_refused(place: Path):
    """The lock holds across containers."""
    with running(*options(place)) as first:
        assert first.says(READY), first.log()
        with running(*options(place)) as second:
            status = second.status()
            told = second.log()

    assert status == 70
    assert "held by a process that is not seen from here, perhaps of another container" in told


def test_user_namespace(place: Path):
    """Users are mapped: the folder belongs to the mapped one."""
    os.chown(place, 100_000 + USER, 100_000 + USER)
    mapped = ("--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536")
    with running(*options(place), *mapped) as container:
        assert container.says(READY), container.log()

    assert (place / "hot").stat().st_uid == 100_000 + USER
