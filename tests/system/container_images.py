"""The image of the checkout, built by podman on a Debian that is made here.

Everything lies in a storage of its own, beside the one that podman uses otherwise. The base image
and the layers of a build last there for a day: a second build repeats only what has changed.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = "packaging/container/Dockerfile"
BASE, IMAGE = "localhost/cvunetd-base:bookworm", "localhost/cvunetd-test:cpu"
#: With Ray, for packaging/ray/compose.yaml.
RAY_IMAGE = "localhost/cvunetd-test:ray"
SUITE = "bookworm"
PACKAGES = "usr-is-merged,python3,python3-venv,ca-certificates"
#: Otherwise `usrmerge` would bring 50 MB of perl.
MERGED = "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr"
#: Unpacking a Debian in memory takes half the time that it takes on a disk.
MEMORY, BASE_BYTES = Path("/dev/shm"), 1_000_000_000
COMMAND_S, BUILD_S = 120.0, 1500.0
#: crun refuses hybrid cgroups, and there may be no systemd and no right to raise limits.
SETTINGS = """[containers]
default_ulimits=["nofile=16384:16384","nproc=16384:16384"]
[engine]
runtime="runc"
cgroup_manager="cgroupfs"
events_logger="file"
[network]
network_backend="netavark"
"""
STORAGE = """[storage]
driver="overlay"
graphroot="/var/tmp/cvunetd-images"
runroot="/run/cvunetd-images"
"""
#: Otherwise each change of the program would leave an image of half a gigabyte behind.
KEPT_FOR = "24h"


@cache
def settings() -> dict[str, str]:
    """The environment in which podman runs, with files for this process's containers."""
    written = {"CONTAINERS_CONF": SETTINGS, "CONTAINERS_STORAGE_CONF": STORAGE}
    for name, text in written.items():
        path = Path(tempfile.gettempdir()) / f"cvunetd-{name.lower()}-{os.getpid()}.conf"
        path.write_text(text, encoding="utf-8")
        written[name] = str(path)
    return os.environ | written


def podman(*arguments: str, patience_s: float = COMMAND_S) -> "subprocess.CompletedProcess[str]":
    """Run podman; what it printed, errors included."""
    return subprocess.run(
        ["podman", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=patience_s,
        check=False,
        env=settings(),
    )


def checked(*arguments: str, patience_s: float = COMMAND_S) -> str:
    """Run podman; its output."""
    done = podman(*arguments, patience_s=patience_s)
    assert done.returncode == 0, f"podman {' '.join(arguments)}: {done.stdout[-3000:]}"
    return done.stdout


def build_base() -> None:
    """A Debian as the base image, if there is none yet."""
    if podman("image", "exists", BASE).returncode == 0:
        return
    with tempfile.TemporaryDirectory(dir=roomy_memory()) as name:
        packed = f"{name}/base.tar"
        options = ["--quiet", "--variant=minbase", f"--include={PACKAGES}", MERGED]
        done = subprocess.run(
            ["mmdebstrap", *options, SUITE, packed],
            capture_output=True,
            text=True,
            check=False,
            timeout=BUILD_S,
            env=os.environ | {"TMPDIR": name},
        )
        assert done.returncode == 0, f"mmdebstrap: {done.stderr[-3000:]}"
        checked("import", packed, BASE, patience_s=BUILD_S)


def roomy_memory() -> Path | None:
    """A folder in memory with space for a base, if there is one."""
    is_roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= BASE_BYTES
    return MEMORY if is_roomy and os.access(MEMORY, os.W_OK) else None


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


def build(image: str = IMAGE, *build_arguments: str) -> None:
    """An image for a CPU, of the checkout; ``build_arguments`` as "EXTRAS=web"."""
    checked("image", "prune", "--force", "--filter", f"until={KEPT_FOR}", patience_s=BUILD_S)
    build_base()
    with tempfile.TemporaryDirectory() as name:
        arguments = ["BASE=" + BASE, "TORCH_INDEX=", *build_arguments]
        checked(
            *("build", "--network", "host", "--format", "docker", "--layers"),
            *("--file", str(ROOT / DOCKERFILE), "--tag", image),
            *(word for one in arguments for word in ("--build-arg", one)),
            *pip_mounts(Path(name)),
            str(ROOT),
            patience_s=BUILD_S,
        )


def unpacked_mb() -> float:
    """The image's size on disk."""
    [found] = json.loads(checked("image", "inspect", IMAGE))
    return float(found["Size"]) / 1e6
