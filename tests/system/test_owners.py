"""One owner of a state folder and of a hot folder: real daemons, side by side."""

import os
from pathlib import Path

import pytest
import yaml

from tests.system.daemon_process import SETTINGS, Daemon, call

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def configure(base: Path, name: str, **changes: object) -> Path:
    """Another daemon's configuration in the same folder."""
    path = base / name
    path.write_text(yaml.safe_dump(SETTINGS | changes))
    return path


def test_second_daemons_are_refused_and_a_dead_ones_lock_is_not(tmp_path: Path) -> None:
    """The same state, then the same hot folder with another state; then after `kill -9`."""
    first = Daemon(tmp_path)
    try:
        first.wait_ready()
        same = call(tmp_path, "run", "--config", configure(tmp_path, "same.yaml"))
        other = configure(tmp_path, "other.yaml", state_dir="other")
        hot = call(tmp_path, "run", "--config", other)
        owner = first.process.pid
    finally:
        first.kill()
    left = (tmp_path / "state/lock").read_text().strip()
    second = Daemon(tmp_path)
    try:
        second.wait_ready()
        status = call(tmp_path, "status", "--config", second.config)
        ended = second.terminate()
    finally:
        second.kill()

    assert (same.returncode, hot.returncode) == (78, 78)
    who = f"is in use by another cvunetd (process {owner}): stop that one first"
    assert f"state folder {tmp_path}/state {who}" in same.stderr
    assert f"hot folder {tmp_path}/hot {who}" in hot.stderr
    assert left == str(owner)
    assert f"process {second.process.pid}" in status.stdout
    assert ended == 0
    assert os.listdir(tmp_path / "other") == ["lock"]  # noqa: PTH208  # it made nothing else
