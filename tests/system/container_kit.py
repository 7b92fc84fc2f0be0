"""Containers as users start them.

`python -m tests.system.container_kit` tells in one line whether images can be built and run here.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from itertools import count
from pathlib import Path

from tests.system import daemon_process
from tests.system.container_images import (
    COMMAND_S,
    IMAGE,
    ROOT,
    checked,
    podman,
    settings,
)
from tests.ways import servers

PROGRAMS = ("podman", "runc", "mmdebstrap", "iptables")
SERIALS = count()
HEALTH_TRIES = 3
#: The exit status that says so; a fault in here ends with another.
NO_CONTAINERS = 3
#: Each question to a container starts a program.
wait_for = partial(daemon_process.wait_for, pause_s=0.3)
HARDENED = (
    *("--network", "none", "--read-only", "--tmpfs", "/tmp"),
    *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
)


@cache
def obstacle() -> str:
    """Why no image can be built and run here; empty if it can, because one was. Takes seconds.

    Nothing of the project is in it: what this says is about the rights and the kernel that we have.
    """
    if os.geteuid() != 0:
        return "not running as root"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (on Debian: make apt-podman)"
    probe = f"localhost/cvunetd-probe-{os.getpid()}"
    try:
        return tried(probe)
    finally:
        podman("rmi", "--force", f"{probe}:built", f"{probe}:base")


def tried(probe: str) -> str:
    """What podman says if it cannot import, build and run an image of one program."""
    with tempfile.TemporaryDirectory() as name:
        packed, recipe = pack_one_program(Path(name)), Path(name) / "Dockerfile"
        recipe.write_text(f'FROM {probe}:base\nRUN ["/true"]\n', encoding="utf-8")
        steps = (
            ("import", str(packed), f"{probe}:base"),
            ("build", "--format", "docker", "--tag", f"{probe}:built", "--file", str(recipe), name),
            ("run", "--rm", *HARDENED, f"{probe}:built", "/true"),
        )
        for step in steps:
            told = podman(*step)
            if told.returncode:
                return f"podman {step[0]}: {' '.join(told.stdout.split())[-500:]}"
    return ""


def pack_one_program(folder: Path) -> Path:
    """An archive of a root folder that holds `true` and its libraries."""
    program = shutil.which("true")
    assert program is not None
    told = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    root = folder / "root"
    root.mkdir()
    shutil.copy(program, root / "true")
    for library in {word for word in told.split() if word.startswith("/")}:
        place = root / library.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, place)
    packed = folder / "root.tar"
    subprocess.run(["tar", "-C", str(root), "-cf", str(packed), "."], check=True)
    return packed


class Container:
    """One that was started; it is removed afterwards."""

    def __init__(self, name: str) -> None:
        self.name = name

    def log(self) -> str:
        """What it has printed."""
        return podman("logs", self.name).stdout

    def says(self, text: str, *, patience_s: float = 60.0) -> bool:
        """Whether it prints something, soon."""
        return wait_for(
            lambda: text in self.log() or not self.is_running(), patience_s=patience_s
        ) and (text in self.log())

    def is_running(self) -> bool:
        """Whether its first process is alive."""
        return self.inspected("{{.State.Running}}") == "true"

    def status(self) -> int:
        """Its exit status; waits for its end."""
        return int(checked("wait", self.name).strip().splitlines()[-1])

    def inspected(self, template: str) -> str:
        """One value of what podman knows of it."""
        return checked("inspect", "--format", template, self.name).strip().splitlines()[-1]

    def signal(self, name: str) -> None:
        """To its first process."""
        checked("kill", "--signal", name, self.name)

    def start(self) -> None:
        """Once more, after its end."""
        checked("start", self.name)

    def health(self) -> tuple[bool, str]:
        """What the image's own health check says now: as podman's timer would ask.

        Both ask the same daemon. Between the two its answer may change, but not again and again.
        """
        for _ in range(HEALTH_TRIES):
            done = podman("exec", self.name, "cvunetd", "healthz")
            checked_too = podman("healthcheck", "run", self.name)
            if (done.returncode == 0) == (checked_too.returncode == 0):
                return done.returncode == 0, done.stdout
        raise AssertionError(f"healthz: {done.stdout}; podman: {checked_too.stdout}")


@contextmanager
def running(
    *options: str, image: str = IMAGE, command: tuple[str, ...] = ()
) -> Iterator[Container]:
    """A hardened container; it is gone afterwards."""
    name = f"cvunetd-test-{os.getpid()}-{next(SERIALS)}"
    container = Container(name)
    try:
        # It may complain that the machine has no systemd for timers.
        checked("run", "--detach", "--name", name, *HARDENED, *options, image, *command)
        yield container
    finally:
        podman("kill", "--signal", "CONT", name)
        podman("rm", "--force", "--time", "0", name)


@contextmanager
def composed(folder: Path) -> Iterator[tuple[Container, int]]:
    """What compose.yaml describes, with the image of the tests; and the port of its page.

    Its project lies in ``folder``. All of it is gone afterwards, but for the pictures.
    """
    project, port = f"cvunetd-test-{os.getpid()}-{next(SERIALS)}", servers.free_port()
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    text = text.replace("127.0.0.1:8080:", f"127.0.0.1:{port}:")
    text = text.replace("image: localhost/cvunetd:cpu ", f"image: {IMAGE} ")
    (folder / "compose.yaml").write_text(text, encoding="utf-8")
    (folder / "pictures").mkdir()
    os.chown(folder / "pictures", 1000, 1000)
    try:
        compose(folder, project, "up", "--detach", "--no-build")
        yield Container(f"{project}_cvunetd_1"), port
    finally:
        compose(folder, project, "down")


def compose(folder: Path, project: str, *arguments: str) -> None:
    """Run podman-compose, which is in this environment."""
    program = Path(sys.executable).with_name("podman-compose")
    done = subprocess.run(
        [program, "--project-name", project, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=COMMAND_S,
        check=False,
        env=settings(),
    )
    assert done.returncode == 0, done.stdout[-3000:]


if __name__ == "__main__":
    why_not = obstacle()
    sys.stdout.write(f"{why_not or 'images can be built and run here'}\n")
    sys.exit(NO_CONTAINERS if why_not else 0)
