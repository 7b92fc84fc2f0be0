"""Real servers on loopback, each a process group of its own, and their clients."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

START_S = 30.0
CALL_S = 120.0


def free_port() -> int:
    """A port of loopback that nobody listens to now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_listening(port: int) -> bool:
    """Whether somebody accepts connections."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def program(name: str) -> str:
    """The path of a program; servers lie where only root's PATH looks."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert found is not None, f"{name} is not installed"
    return found


class Server:
    """A server in the foreground, with its files in a folder of its own."""

    def __init__(self, base: Path, name: str) -> None:
        self.base = base / name
        self.base.mkdir()
        self.name = name
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, arguments: Sequence[str | Path]) -> None:
        """Run it and wait until it listens."""
        with (self.base / "log").open("wb") as log:
            self.process = subprocess.Popen(
                list(map(str, arguments)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # its children are ended with it
            )
        deadline = time.monotonic() + START_S
        while not is_listening(self.port):
            assert self.process.poll() is None, self.told()
            assert time.monotonic() < deadline, self.told()
            time.sleep(0.05)

    def told(self) -> str:
        """What it has printed."""
        return f"{self.name}: {(self.base / 'log').read_text(errors='replace')}"

    def write(self, name: str, text: str, mode: int = 0o600) -> Path:
        """One of its own files."""
        path = self.base / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def stop(self) -> None:
        """End it and its children."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)


def call(*arguments: str | Path, text: str = "", is_checked: bool = True) -> str:
    """Run a client to its end; what it has printed."""
    done = subprocess.run(
        list(map(str, arguments)),
        input=text,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=CALL_S,
        check=False,
    )
    said = f"{arguments[0]} ended with {done.returncode}: {done.stdout}{done.stderr}"
    assert done.returncode == 0 or not is_checked, said
    return said
