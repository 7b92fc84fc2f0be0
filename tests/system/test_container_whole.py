"""What a container meets in the world. Only `make test-container` runs these tests."""

import os
import re
import time
import urllib.request
from pathlib import Path

import pytest

from tests.system.container_kit import composed, running, wait_for
from tests.system.container_photos import READY, USER, comes_out, drop, options

DAY_S = 86_400.0

pytestmark = [
    *(pytest.mark.podman, pytest.mark.whole, pytest.mark.slow, pytest.mark.timeout(1800)),
    pytest.mark.usefixtures("image"),
]

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


def test_key_is_shown_once(place: Path):
    """At the first start, and not at the second."""
    with running(*options(place)) as container:
        assert container.says(READY), container.log()
        first = container.log().count("shown only now")
    with running(*options(place)) as container:
        assert container.says(READY), container.log()
        second = container.log().count("shown only now")

    assert (first, second) == (1, 0)


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


def test_label_for_selinux(place: Path):
    """`:Z` is for machines with SELinux, and does no harm where there is none."""
    with running(*options(place, mode="rw,Z")) as container:
        assert container.says(READY), container.log()
        drop(place, "labelled.png")
        assert comes_out(place, "labelled"), container.log()


def test_clock_of_the_sender_is_wrong(place: Path):
    """A photo from tomorrow and one from 1970 come out as any other."""
    with running(*options(place)) as container:
        assert container.says(READY), container.log()
        drop(place, "tomorrow.png", modified_s=time.time() + DAY_S)
        drop(place, "long-ago.png", modified_s=0.0)
        assert comes_out(place, "tomorrow"), container.log()
        assert comes_out(place, "long-ago"), container.log()


def test_compose_file_comes_up(tmp_path: Path):
    """The page answers at the published port, and the key in the log opens it."""
    with composed(tmp_path) as (container, port):
        assert container.says("open http://"), container.log()
        found = re.search(r"shown only now: (\S+)", container.log())
        assert found is not None, container.log()
        models = f"http://127.0.0.1:{port}/api/v1/models"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as page:
            title = page.read().decode()
        request = urllib.request.Request(models, headers={"X-Api-Key": found.group(1)})
        with urllib.request.urlopen(request, timeout=30) as answer:
            status = answer.status

    assert "<title>" in title
    assert status == 200
    assert {"hot", "outputs", "failed", "state"} <= {
        path.name for path in (tmp_path / "pictures").iterdir()
    }
