"""`cvunetd run` with a cluster of its own: the real model in an actor, deaths, a clean end."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

from daemon.worker.engines.cluster.access import why_unreachable
from tests.system.daemon_process import ROOT, SETTINGS, Daemon, call, wait_for

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]
#: What takes minutes; `make test-ray` runs it.
whole = pytest.mark.skipif(
    os.environ.get("CVUNETD_RAY") != "whole", reason="takes a minute: make test-ray"
)
RAY = {"engine": "ray", "ray": {"address": "local"}}
MODEL = SETTINGS["model"] | {"input_size": 64}  # type: ignore[operator]  # a mapping
DRIVER = "daemon.worker.engines.ray"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """One that serves, and whose worker is warm."""
    daemon = Daemon(tmp_path, {"worker": RAY, "model": MODEL})
    try:
        daemon.wait_ready()
        yield daemon
    finally:
        daemon.kill()
        wait_for(lambda: not processes(tmp_path), patience_s=30)


def processes(base: Path) -> list[int]:
    """The process that speaks to Ray for a daemon in this folder, if it lives."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_bytes().split(b"\0")
            if DRIVER.encode() in command and (place / "cwd").readlink() == base:
                found.append(int(place.name))
        except OSError:
            continue
    return found


def drop(daemon: Daemon, name: str) -> None:
    """A photo, whole in one moment."""
    place = daemon.base / f".{name}"
    Image.fromarray(data.astronaut()[:200, :200]).save(place, "PNG")
    place.rename(daemon.hot / name)


def test_pictures_are_cut_out_by_a_worker_that_may_die(daemon: Daemon):
    """One good and one bad; then the worker is killed, then the process that speaks to Ray."""
    drop(daemon, "a.png")
    (daemon.hot / "bad.jpg").write_bytes(b"x" * 2000)
    os.utime(daemon.hot / "bad.jpg", (1e9, 1e9))
    assert wait_for(lambda: "a.png" in daemon.results()), daemon.told()
    assert wait_for(lambda: "bad.jpg" in daemon.quarantined()), daemon.told()

    status = json.loads(call(daemon.base, "status", "--json").stdout)
    [node] = status["report"]["cluster"]["nodes"]
    assert (node["address"], node["workers"][0]["word"]) == ("127.0.0.1", "warm")

    [driver] = processes(daemon.base)
    os.kill(driver, signal.SIGKILL)
    assert wait_for(lambda: "stands by" in daemon.told(), patience_s=60), daemon.told()
    drop(daemon, "b.png")
    assert wait_for(lambda: "b.png" in daemon.results()), daemon.told()
    assert "is warm on cpu" in daemon.told()
    assert "raylet" not in daemon.told()  # Ray's own chatter

    assert daemon.terminate() == 0
    assert wait_for(lambda: not processes(daemon.base), patience_s=30)
    assert list(daemon.base.rglob("*.part")) == []
    assert not (daemon.base / "outputs" / ".cvunetd-canary").exists()


@whole
def test_pictures_may_travel_through_ray(tmp_path: Path):
    """The worker writes nothing into our folders; what it has made is written here."""
    ray = {"address": "local", "transport": "object-store"}
    settings = {"worker": {"engine": "ray", "ray": ray}, "model": MODEL}
    (tmp_path / "hot").mkdir()
    shutil.copy(photo(tmp_path / "a.png"), tmp_path / "hot")
    daemon = Daemon(tmp_path, settings | {"output": {"content": "both"}})
    try:
        daemon.wait_ready()
        assert wait_for(lambda: "a.png" in daemon.results()), daemon.told()
        assert daemon.results() == {"a.png", "a_alpha.png"}
        assert daemon.terminate() == 0
    finally:
        daemon.kill()


def photo(path: Path) -> Path:
    """A photo outside of the hot folder."""
    Image.fromarray(data.astronaut()[:200, :200]).save(path)
    return path


def test_ray_that_is_missing_is_told(tmp_path: Path):
    """Exit 78 with the command that installs it; systemd does not try again."""
    (tmp_path / "no-ray").mkdir()
    (tmp_path / "no-ray" / "ray.py").write_text("raise ImportError('No module named ray')\n")
    daemon = Daemon(
        tmp_path,
        {"worker": RAY, "model": MODEL},
        extra_environment={"PYTHONPATH": f"{tmp_path / 'no-ray'}:{Path.cwd()}"},
    )
    assert daemon.process.wait(120) == 78, daemon.told()
    assert "pip install 'cvunet-daemon[ray]'" in daemon.told()


def test_daemon_waits_for_a_cluster_that_is_not_there(tmp_path: Path):
    """It says so, stands by, and ends when it is told to."""
    ray = {"address": "127.0.0.1:16998", "auth": "none"}
    daemon = Daemon(tmp_path, {"worker": {"engine": "ray", "ray": ray}, "model": MODEL})
    try:
        daemon.wait_ready()
        assert wait_for(lambda: "stands by" in daemon.told(), patience_s=30), daemon.told()
        assert "no cluster answers at 127.0.0.1:16998" in daemon.told()
        assert daemon.terminate() == 0
    finally:
        daemon.kill()


@pytest.fixture
def head(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A head of Ray's with a token of its own: its address, and the token's file."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    token = tmp_path / "token"
    token.write_text(secrets.token_hex(32))
    place = tempfile.mkdtemp(prefix="cvr-")
    command = [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
        *(f"--port={port}", "--node-ip-address=127.0.0.1", "--include-dashboard=false"),
        *("--num-cpus=0", f"--temp-dir={place}", "--object-store-memory=80000000"),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "token"}
    environment["RAY_AUTH_TOKEN_PATH"] = str(token)
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"127.0.0.1:{port}"
    try:
        assert wait_for(lambda: not why_unreachable(address) or process.poll() is not None)
        yield address, token
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(place, ignore_errors=True)


@whole
def test_wrong_token_is_told(head: tuple[str, Path], tmp_path: Path):
    """Exit 78: only a person can mend it. With the right one `doctor` finds the node."""
    address, token = head
    wrong = tmp_path / "wrong"
    wrong.write_text("0" * 64)
    ray = {"address": address, "token_file": str(wrong)}
    daemon = Daemon(tmp_path, {"worker": {"engine": "ray", "ray": ray}, "model": MODEL})
    assert daemon.process.wait(180) == 78, daemon.told()
    assert f"the cluster at {address} refuses our token ({wrong})" in daemon.told()

    daemon.config.write_text(daemon.config.read_text().replace(str(wrong), str(token)))
    told = call(tmp_path, "doctor", "--config", daemon.config).stdout
    assert f"pass  cluster                    1 node at {address}" in told
    assert "no worker runs there" in told, told
