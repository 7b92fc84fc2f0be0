"""The page and the API of real processes: what was answered is never lost."""

import json
import signal
import socket
import struct
import subprocess
import time
import zlib
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.system.daemon_process import SETTINGS, Daemon, call, command, environment, wait_for
from tests.web.web_kit import picture

pytestmark = pytest.mark.web


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def settings(port: int | None) -> dict[str, object]:
    """With uploads, and an address if there is a port."""
    listen = None if port is None else f"127.0.0.1:{port}"
    return {"web": {"listen": listen, "folder": "uploads"}}


def ask(method: str, url: str, **more: Any) -> httpx.Response:  # Any: of httpx
    """One request; without certificates, which take long to load."""
    with httpx.Client(verify=False, timeout=60) as client:
        return client.request(method, url, **more)


def answers(url: str) -> bool:
    """Whether somebody serves."""
    with suppress(httpx.HTTPError):
        return ask("GET", f"{url}/api/v1/status").status_code == 200
    return False


def send(url: str, content: bytes, key: str) -> str | None:
    """Send a picture; its id, or None if there was no answer."""
    try:
        answer = ask(
            "POST",
            f"{url}/api/v1/pictures",
            files={"image": ("cat.png", content)},
            headers={"Idempotency-Key": key},
        )
    except httpx.HTTPError:
        return None
    assert answer.status_code == 202, answer.text
    return str(answer.json()["pictures"][0]["id"])


def state(url: str, upload_id: str) -> str:
    """The state of a picture."""
    return str(ask("GET", f"{url}/api/v1/pictures/{upload_id}").json().get("state"))


def is_done(url: str, upload_id: str) -> bool:
    """Whether a picture has come out."""
    return state(url, upload_id) == "done"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_was_answered_survives_sigkill(tmp_path: Path):
    """Killed right after an answer, again and again: every id leads to its result."""
    port = free_port()
    url, ids = f"http://127.0.0.1:{port}", []
    for life in range(3):
        daemon = Daemon(tmp_path, settings(port))
        try:
            assert wait_for(lambda: answers(url)), daemon.told()
            for number in range(3):
                upload_id = send(url, picture(20 + life + number), f"{life}-{number}")
                assert upload_id is not None
                ids.append(upload_id)
        finally:
            daemon.kill()
    daemon = Daemon(tmp_path, settings(port))
    try:
        daemon.wait_ready()

        for upload_id in ids:
            assert wait_for(partial(is_done, url, upload_id)), state(url, upload_id)
        assert len(set(ids)) == 9
        # A client that got no answer would ask again: nothing is cut out twice.
        assert send(url, picture(20), "0-0") == ids[0]
        assert len(daemon.results()) == 9
        assert wait_for(lambda: not list((tmp_path / "uploads").glob("[0-9a-f]*")))
        assert daemon.terminate() == 0
    finally:
        daemon.kill()


def bomb(side: int) -> bytes:
    """A small PNG that says it has so many pixels a side."""
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(100_000))), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_hostile_pictures_are_told_in_each_clients_format(tmp_path: Path):
    """By the real daemon: a bomb, and a text named .jpg; uploads leave no trace."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    hostile = [("bomb.png", bomb(60_000), "megapixels"), ("a.jpg", b"hello" * 50, "not a picture")]
    daemon = Daemon(tmp_path, settings(port))
    try:
        daemon.wait_ready()
        for name, content, reason in hostile:
            ours = ask("POST", f"{url}/api/v1/cutouts", files={"image": (name, content)})
            theirs = ask("POST", f"{url}/v1.0/removebg", files={"image_file": (name, content)})
            rembg = ask("POST", f"{url}/api/remove", files={"file": (name, content)})

            assert [one.status_code for one in (ours, theirs, rembg)] == [422, 400, 422]
            assert ours.json()["code"] == "picture_failed"
            assert theirs.json()["errors"][0]["code"] == "invalid_image_file"
            assert rembg.json()["detail"][0]["loc"] == ["body", "file"]
            assert all(reason in one.text for one in (ours, theirs, rembg))
        assert not list((tmp_path / "uploads").glob("[0-9a-f]*"))
        assert daemon.terminate() == 0
    finally:
        daemon.kill()


def start_server(config: Path) -> "tuple[subprocess.Popen[bytes], str]":
    """`cvunetd web` in a process of its own, and its address; its log lies beside the file."""
    listen = f"127.0.0.1:{free_port()}"
    arguments = command("web", "--config", config, "--listen", listen)
    with (config.parent / "web.log").open("wb") as log:
        server = subprocess.Popen(arguments, cwd=config.parent, env=environment(), stderr=log)
    return server, f"http://{listen}"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_server_of_its_own(tmp_path: Path):
    """It accepts while the daemon is down, and shows results when it is up; it loads no torch."""
    daemon = Daemon(tmp_path, settings(None))
    daemon.kill()
    server, url = start_server(daemon.config)
    try:
        assert wait_for(lambda: answers(url)), (tmp_path / "web.log").read_text()
        upload_id = send(url, picture(40), "one")
        assert upload_id is not None
        assert state(url, upload_id) == "waiting"
        assert "torch" not in Path(f"/proc/{server.pid}/maps").read_text()

        daemon = Daemon(tmp_path, settings(None))
        assert wait_for(lambda: state(url, upload_id) == "done"), daemon.told()
        made = ask("POST", f"{url}/api/v1/cutouts", content=picture(30))
        assert (made.status_code, made.headers["content-type"]) == (200, "image/png")
        daemon.kill()
        assert ask("GET", f"{url}/api/v1/pictures/{upload_id}/result").status_code == 200
        server.terminate()
        assert server.wait(30) == 0
    finally:
        daemon.kill()
        server.kill()
        server.wait()


@pytest.mark.system
def test_a_server_of_its_own_follows_a_reload(tmp_path: Path):
    """SIGHUP to the daemon alone: what lies in its new output folder is served, and the old."""
    daemon = Daemon(tmp_path, settings(None))
    daemon.wait_ready()
    server, url = start_server(daemon.config)
    try:
        assert wait_for(lambda: answers(url)), (tmp_path / "web.log").read_text()
        cut_out = partial(ask, "POST", f"{url}/api/v1/cutouts", content=picture(30))
        assert cut_out().status_code == 200
        content = yaml.safe_load(daemon.config.read_text())
        content |= {"output": content.get("output", {}) | {"root": "elsewhere"}}
        daemon.config.write_text(yaml.safe_dump(content))
        daemon.process.send_signal(signal.SIGHUP)
        assert wait_for(lambda: "the new configuration counts" in daemon.told())

        assert cut_out().status_code == 200
        assert list(tmp_path.glob("elsewhere/outputs_*/*.png"))
        drops = ask("GET", f"{url}/api/v1/drops").json()["drops"]
        assert [ask("GET", f"{url}{one['zip']}").status_code for one in drops] == [200, 200]
    finally:
        daemon.kill()
        server.kill()
        server.wait()


def printed(program: str) -> str:
    """What a program prints that runs in a Python of its own."""
    arguments = [*command()[:1], "-c", program]
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment(), check=True)
    return done.stdout.strip()


def test_other_commands_do_not_load_the_server(tmp_path: Path):
    """`cvunetd status` must be quick."""
    program = (
        "import sys; from daemon.commands import status; from daemon.service import web_pages;"
        "print([name for name in sys.modules if name.split('.')[0] in ('starlette', 'uvicorn')])"
    )

    assert printed(program) == "[]"


def test_daemon_of_one_machine_loads_nothing_for_clusters(tmp_path: Path):
    """Neither asyncio nor TLS nor an HTTP server: memory and time of each start."""
    program = (
        "import sys; from daemon.commands import batch, run;"
        "print([name for name in ('asyncio', 'ssl', 'http.server') if name in sys.modules])"
    )

    assert printed(program) == "[]"


def test_without_the_extra_the_start_says_what_to_install(tmp_path: Path):
    """Exit 78; without an address nothing is missing."""
    for name in ("starlette", "uvicorn", "python_multipart"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise ImportError('gone', name='{name}')")
    (tmp_path / "hot").mkdir()
    content = SETTINGS | settings(free_port())
    (tmp_path / "config.yaml").write_text(json.dumps(content))
    done = subprocess.run(
        command("run", "--config", tmp_path / "config.yaml"),
        env=environment() | {"PYTHONPATH": f"{tmp_path}:{environment()['PYTHONPATH']}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 78
    assert "pip install 'cvunet-daemon[web]'" in done.stderr


def test_a_key_is_made(tmp_path: Path):
    """The line is what the file of keys holds."""
    done = call(tmp_path, "web-key", "shop")
    key, line = (one.rpartition(": ")[2] for one in done.stdout.splitlines())
    (tmp_path / "keys").write_text(line)

    from daemon.web.keys import read_keys

    assert read_keys(tmp_path / "keys").name_of(key) == "shop"
    assert call(tmp_path, "web-key", "two words").returncode == 2


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_sigterm_ends_a_request_that_waits(tmp_path: Path):
    """The daemon stops in seconds, though somebody listens to events."""
    port = free_port()
    daemon = Daemon(tmp_path, settings(port))
    try:
        daemon.wait_ready()
        with httpx.stream("GET", f"http://127.0.0.1:{port}/api/v1/events", timeout=600):
            began = time.monotonic()
            assert daemon.terminate() == 0
        assert time.monotonic() - began < 150
    finally:
        daemon.kill()
