"""The real daemon where events are lost, or have never come."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import skimage

from tests.system.daemon_process import Daemon, call, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PHOTO = Path(skimage.__file__).parent / "data" / "coffee.png"
QUEUED_EVENTS = Path("/proc/sys/fs/inotify/max_queued_events")
FEW_WATCHES = 'echo 5 > /proc/sys/user/max_inotify_watches && exec "$@"'


@pytest.fixture
def daemons() -> Iterator[list[Daemon]]:
    """What a test starts is killed at its end."""
    started: list[Daemon] = []
    yield started
    for daemon in started:
        daemon.kill()


def test_overflow_while_the_daemon_stands_still(tmp_path: Path, daemons: list[Daemon]) -> None:
    """A machine that was suspended, say: the kernel drops events, and a sweep finds the photos."""
    limit = int(QUEUED_EVENTS.read_text())
    if limit > 100_000:
        pytest.skip(f"{QUEUED_EVENTS} is {limit}: filling it takes too long")
    daemon = Daemon(tmp_path)
    daemons.append(daemon)
    daemon.wait_ready()
    daemon.process.send_signal(signal.SIGSTOP)
    for number in range(limit + 5000):
        path = daemon.hot / f".churned-{number % 2}"
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
    for number in range(3):
        shutil.copy(PHOTO, daemon.hot / f"{number}.png")
    daemon.process.send_signal(signal.SIGCONT)
    came = wait_for(lambda: daemon.results() == {"0.png", "1.png", "2.png"})
    status = ("status", "--config", daemon.config)
    is_told = wait_for(lambda: "start: 3 by sweep" in call(tmp_path, *status).stdout)

    assert (came, is_told) == (True, True), daemon.told()
    assert "overflowed; filesystem events were lost; looking at all of it" in daemon.told()
    assert daemon.terminate() == 0


@pytest.mark.user_namespaces
def test_too_few_watches_are_told_by_status(tmp_path: Path, daemons: list[Daemon]) -> None:
    """With the command that helps, and the photo is found all the same."""
    for number in range(10):
        (tmp_path / "hot" / f"{number}").mkdir(parents=True)
    wrapper = ("unshare", "--user", "--map-root-user", "sh", "-c", FEW_WATCHES, "sh")
    daemon = Daemon(tmp_path, wrapper=wrapper)
    daemons.append(daemon)
    daemon.wait_ready()
    shutil.copy(PHOTO, daemon.hot / "9" / "photo.png")
    came = wait_for(lambda: daemon.results() == {"9/photo.png"})
    told = call(tmp_path, "status", "--config", daemon.config).stdout

    line = "folder hot is polled: 7 folders in it got no inotify watch; allow more: sysctl -w "
    assert came, daemon.told()
    assert f"{line}user.max_inotify_watches=524288 " in told
    assert daemon.terminate() == 0
