"""What every test shares: needs of the machine; no thread or level of the log left behind."""

import importlib.util
import logging
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import hypothesis
import pytest
from tqdm import tqdm

from daemon import __version__
from tests.system import container_kit, systemd_machine

# How long an example takes says more of the machine than of the code: `make bench` measures.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# Tests import onnxruntime themselves: their runs are nobody's business either.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

SYSTEM = Path(__file__).parent / "system"
LATER = 2
GRACE_S = 10.0
"""How long a thread that has been told to stop may take: some wait for work a second longer."""


def has_cuda() -> bool:
    """Asked only by tests marked ``cuda``: the others must not pay for importing torch."""
    import torch

    return torch.cuda.is_available()


def has_user_namespaces() -> bool:
    """Asked only by tests that lower limits for themselves."""
    if shutil.which("unshare") is None:
        return False
    tried = [
        "unshare",
        "--user",
        "--map-root-user",
        "test",
        "-w",
        "/proc/sys/user/max_inotify_watches",
    ]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


def is_installed(program: str) -> bool:
    """By its name."""
    return shutil.which(program) is not None


NEEDS: dict[str, tuple[Callable[[], bool], str | Callable[[], str]]] = {
    "root": (lambda: os.geteuid() == 0, "not running as root"),
    "systemd": (
        lambda: importlib.util.find_spec("systemd") is not None,
        "systemd-python is not installed",
    ),
    "systemd_analyze": (
        partial(is_installed, "systemd-analyze"),
        "systemd-analyze is not installed",
    ),
    "systemd_machine": (
        lambda: not systemd_machine.obstacle(),
        lambda: f"no systemd of its own boots here: {systemd_machine.obstacle()}",
    ),
    "podman": (
        lambda: not container_kit.obstacle(),
        lambda: f"no container can be built here: {container_kit.obstacle()}",
    ),
    "deb": (
        lambda: any((SYSTEM.parents[1] / "dist").glob(f"cvunetd_{__version__}-*.deb")),
        "no package of this version in dist/: make deb",
    ),
    "metrics": (
        lambda: importlib.util.find_spec("prometheus_client") is not None,
        "prometheus-client is not installed",
    ),
    "grafana": (
        lambda: importlib.util.find_spec("grafana_foundation_sdk") is not None,
        "grafana-foundation-sdk is not installed",
    ),
    "webhooks": (
        lambda: all(map(importlib.util.find_spec, ("urllib3", "trustme"))),
        "urllib3 or trustme is not installed",
    ),
    "web": (
        lambda: all(
            map(importlib.util.find_spec, ("starlette", "uvicorn", "httpx", "schemathesis"))
        ),
        "starlette, uvicorn, httpx or schemathesis is not installed",
    ),
    "chromium": (
        lambda: (
            is_installed("chromium")
            and all(map(importlib.util.find_spec, ("playwright", "axe_playwright_python")))
        ),
        "chromium (on Debian: make apt-browser), playwright or axe-playwright-python is missing",
    ),
    "promtool": (
        partial(is_installed, "promtool"),
        "promtool is not installed (on Debian: apt-get install prometheus)",
    ),
    **{
        name: (partial(is_installed, name), f"{name} is not installed")
        for name in ("groff", "zsh", "fish")
    },
    "heif": (
        lambda: importlib.util.find_spec("pillow_heif") is not None,
        "pillow-heif is not installed",
    ),
    "video": (
        lambda: importlib.util.find_spec("av") is not None,
        "PyAV is not installed",
    ),
    "refine": (
        lambda: importlib.util.find_spec("pymatting") is not None,
        "pymatting is not installed",
    ),
    "ways": (
        lambda: all(is_installed(name) for name in ("smbclient", "sshfs", "syncthing", "curl")),
        "servers and clients are missing (on Debian: make apt-ways)",
    ),
    "ray": (
        lambda: importlib.util.find_spec("ray") is not None,
        "ray is not installed",
    ),
    "cuda": (has_cuda, "no CUDA device"),
    "clients": (
        lambda: os.geteuid() == 0 and all(map(is_installed, ("npm", "node", "curl", "unshare"))),
        "not root, or without npm, node, curl or unshare",
    ),
    "user_namespaces": (has_user_namespaces, "no user namespaces for this user"),
}
"""Marker: is it met, and what to say if not."""


def pytest_configure() -> None:
    """Refuse a promise that no marker knows, and start no monitor thread for progress bars."""
    unknown = promised() - set(NEEDS)
    if unknown:
        known = ", ".join(NEEDS)
        raise pytest.UsageError(f"CVUNETD_REQUIRE: unknown {sorted(unknown)}; known: {known}")
    tqdm.monitor_interval = 0


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies in `tests/system`; with several processes, the longest files begin first."""
    for item in items:
        if SYSTEM in item.path.parents:
            item.add_marker(pytest.mark.system)
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    files: dict[Path, int] = {}
    for item in items:
        files[item.path] = min(urgency(item), files.get(item.path, LATER))
    items.sort(key=lambda item: files[item.path])


def urgency(item: pytest.Item) -> int:
    """Machines and containers wait most of the time, best beside everything else."""
    if item.get_closest_marker("systemd_machine") or item.get_closest_marker("podman"):
        return 0
    return 1 if item.get_closest_marker("slow") else LATER


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose needs are not met; fail it where the machine was promised to meet them."""
    for name, (is_met, reason) in NEEDS.items():
        if item.get_closest_marker(name) is None or is_met():
            continue
        why = reason if isinstance(reason, str) else reason()
        if name in promised():
            pytest.fail(f"{why}, but CVUNETD_REQUIRE promises {name!r}", pytrace=False)
        pytest.skip(why)


def promised() -> set[str]:
    """The markers that this machine says it can serve."""
    return set(filter(None, os.environ.get("CVUNETD_REQUIRE", "").split(",")))


@pytest.fixture(autouse=True)
def same_log_level() -> Iterator[None]:
    """Restore the level of the log, which a reload of the configuration sets."""
    level = logging.root.level
    yield
    logging.root.setLevel(level)


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Fail a test that leaves a thread running."""
    before = set(threading.enumerate())
    yield
    started = [thread for thread in threading.enumerate() if thread not in before]
    # One that a longer fixture starts right now has no number yet, and cannot be joined.
    leaked = [one for one in started if one.ident is not None and not is_library_thread(one)]
    for thread in leaked:
        thread.join(GRACE_S)
    alive = [thread.name for thread in leaked if thread.is_alive()]
    if alive:
        pytest.fail(f"threads left running: {', '.join(alive)}", pytrace=False)


def is_library_thread(thread: threading.Thread) -> bool:
    """Daemon threads that torch and tqdm keep for the life of the process; none of ours."""
    # Python tells what a thread runs only by a private attribute.
    runs = getattr(thread, "_target", None) or type(thread)
    library = runs.__module__.partition(".")[0]
    # A dummy stands for a thread that torch started outside Python and that called back into it.
    is_dummy = isinstance(thread, threading._DummyThread)
    return thread.daemon and (is_dummy or library in ("torch", "tqdm"))


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A folder on which syncing costs nothing, for what does not end with the machine."""
    from tests.system.crash_kit import folder_in_memory  # loads torch, which few tests need

    with folder_in_memory() as folder:
        yield folder
