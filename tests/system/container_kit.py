"""Containers as users start them: an image built by podman on a Debian made here.

`python -m tests.system.container_kit` tells in one line whether that can be done here.
The base image lasts in podman's own storage, and so do the layers of a build.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from itertools import count
from pathlib import Path

from tests.system import daemon_process

ROOT = Path(__file__).parents[2]
DOCKERFILE = "packaging/container/Dockerfile"
BASE, IMAGE = "localhost/cvunetd-base:bookworm", "localhost/cvunetd-test:cpu"
PROGRAMS = ("podman", "runc", "debootstrap", "iptables")
SUITE = "bookworm"
PACKAGES = "python3,python3-venv,ca-certificates"
COMMAND_S, BUILD_S = 120.0, 1500.0
SERIALS = count()
#: Each question to a container starts a program.
wait_for = partial(daemon_process.wait_for, pause_s=0.3)
#: crun refuses hybrid cgroups, and there may be no systemd and no right to raise limits.
SETTINGS = """[containers]
default_ulimits=["nofile=16384:16384","nproc=16384:16384"]
[engine]
runtime="runc"
cgroup_manager="cgroupfs"
events_logger="file"
"""
HARDENED = (
    *("--network", "none", "--read-only", "--tmpfs", "/tmp"),
    *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
)


@cache
def settings_file() -> Path:
    """podman's settings for this process's containers."""
    path = Path(tempfile.gettempdir()) / f"cvunetd-containers-{os.getpid()}.conf"
    path.write_text(SETTINGS, encoding="utf-8")
    return path


def podman(*arguments: str, patience_s: float = COMMAND_S) -> "subprocess.CompletedProcess[str]":
    """Run podman; what it printed, errors included."""
    return subprocess.run(
        ["podman", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=patience_s,
        check=False,
        env=os.environ | {"CONTAINERS_CONF": str(settings_file())},
    )


def checked(*arguments: str, patience_s: float = COMMAND_S) -> str:
    """Run podman; its output."""
    done = podman(*arguments, patience_s=patience_s)
    assert done.returncode == 0, f"podman {' '.join(arguments)}: {done.stdout[-3000:]}"
    return done.stdout


@cache
def obstacle() -> str:
    """Why no image can be built and run here; empty if it can."""
    if os.geteuid() != 0:
        return "not running as root"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (on Debian: make apt-podman)"
    told = podman("info")
    return "" if told.returncode == 0 else told.stdout[-500:]


# --- images --------------------------------------------------------------------------------------


def build_base() -> None:
    """A Debian as the base image, if there is none yet."""
    if podman("image", "exists", BASE).returncode == 0:
        return
    with tempfile.TemporaryDirectory() as name:
        root = f"{name}/root"
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, root]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=BUILD_S)
        left_out = ("./var/cache/apt/*", "./var/lib/apt/lists/*")
        packed = f"{name}/base.tar"
        options = [f"--exclude={one}" for one in left_out]
        subprocess.run(["tar", "-C", root, *options, "-cf", packed, "."], check=True)
        checked("import", packed, BASE, patience_s=BUILD_S)


def pip_settings() -> Mapping[str, str]:
    """What pip is told on this machine, by its files and variables."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {}
    for line in told.splitlines():
        key, _, value = line.partition("=")
        # What the variables say comes later and counts.
        found[key.removeprefix("global.").removeprefix(":env:.")] = value.strip("'\"")
    wanted = ("cert", "find-links", "index-url", "extra-index-url", "default-timeout")
    return {key: value for key, value in found.items() if key in wanted}


def pip_mounts(folder: Path) -> list[str]:
    """Options by which a build downloads as this machine does; nothing of it stays in the image."""
    settings = pip_settings()
    text = "\n".join(["[global]", *(f"{key} = {value}" for key, value in settings.items())])
    (folder / "pip.conf").write_text(text + "\n", encoding="utf-8")
    options = ["--volume", f"{folder}/pip.conf:/etc/pip.conf:ro"]
    words = [word for value in settings.values() for word in value.split()]
    # A local index names its files by paths beside it.
    index, plain = "file://", [word for word in words if word.startswith("/")]
    beside = [
        str(Path(word.removeprefix(index)).parent) for word in words if word.startswith(index)
    ]
    for place in dict.fromkeys([*plain, *beside]):
        if Path(place).exists():
            options += ["--volume", f"{place}:{place}:ro"]
    return options


def build() -> None:
    """The image for a CPU, of the checkout."""
    build_base()
    with tempfile.TemporaryDirectory() as name:
        arguments = ["BASE=" + BASE, "TORCH_INDEX="]
        checked(
            *("build", "--network", "host", "--format", "docker", "--layers"),
            *("--file", str(ROOT / DOCKERFILE), "--tag", IMAGE),
            *(word for one in arguments for word in ("--build-arg", one)),
            *pip_mounts(Path(name)),
            str(ROOT),
            patience_s=BUILD_S,
        )


def unpacked_mb() -> float:
    """The image's size on disk."""
    [found] = json.loads(checked("image", "inspect", IMAGE))
    return float(found["Size"]) / 1e6


# --- containers ----------------------------------------------------------------------------------


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
        """What the image's own health check says now: as podman's timer would ask."""
        done = podman("exec", self.name, "cvunetd", "healthz")
        checked_too = podman("healthcheck", "run", self.name)
        assert (done.returncode == 0) == (checked_too.returncode == 0), checked_too.stdout
        return done.returncode == 0, done.stdout


@contextmanager
def running(
    *options: str, image: str = IMAGE, command: tuple[str, ...] = ()
) -> Iterator[Container]:
    """A hardened container; it is gone afterwards."""
    name = f"cvunetd-test-{os.getpid()}-{next(SERIALS)}"
    # Its output is the log; that the machine has no systemd for timers is told on standard error.
    podman("run", "--detach", "--name", name, *HARDENED, *options, image, *command)
    container = Container(name)
    try:
        yield container
    finally:
        podman("kill", "--signal", "CONT", name)
        podman("rm", "--force", "--time", "0", name)


if __name__ == "__main__":
    why_not = obstacle()
    sys.stdout.write(f"{why_not or 'images can be built and run here'}\n")
    sys.exit(3 if why_not else 0)
