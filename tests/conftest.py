"""What every test shares: needs of the machine, and no thread left behind."""

import importlib.util
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator

import pytest
from tqdm import tqdm

from tests import systemd_machine

GRACE_S = 2.0
"""How long a thread that has been told to stop may take."""


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


NEEDS: dict[str, tuple[Callable[[], bool], str]] = {
    "root": (lambda: os.geteuid() == 0, "not running as root"),
    "systemd": (
        lambda: importlib.util.find_spec("systemd") is not None,
        "systemd-python is not installed",
    ),
    "systemd_analyze": (
        lambda: shutil.which("systemd-analyze") is not None,
        "systemd-analyze is not installed",
    ),
    "systemd_machine": (
        systemd_machine.is_possible,
        "no machine with a systemd of its own: needs root, systemd-nspawn, nsenter and overlayfs",
    ),
    "metrics": (
        lambda: importlib.util.find_spec("prometheus_client") is not None,
        "prometheus-client is not installed",
    ),
    "promtool": (
        lambda: shutil.which("promtool") is not None,
        "promtool is not installed (on Debian: apt-get install prometheus)",
    ),
    "heif": (
        lambda: importlib.util.find_spec("pillow_heif") is not None,
        "pillow-heif is not installed",
    ),
    "refine": (
        lambda: importlib.util.find_spec("pymatting") is not None,
        "pymatting is not installed",
    ),
    "cuda": (has_cuda, "no CUDA device"),
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


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose needs are not met; fail it where the machine was promised to meet them."""
    for name, (is_met, reason) in NEEDS.items():
        if item.get_closest_marker(name) is None or is_met():
            continue
        if name in promised():
            pytest.fail(f"{reason}, but CVUNETD_REQUIRE promises {name!r}", pytrace=False)
        pytest.skip(reason)


def promised() -> set[str]:
    """The markers that this machine says it can serve."""
    return set(filter(None, os.environ.get("CVUNETD_REQUIRE", "").split(",")))


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Fail a test that leaves a thread running."""
    before = set(threading.enumerate())
    yield
    started = [thread for thread in threading.enumerate() if thread not in before]
    leaked = [thread for thread in started if not is_library_thread(thread)]
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
