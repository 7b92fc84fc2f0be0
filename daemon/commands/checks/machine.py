"""Checks of the machine: inotify limits, the GPU and its driver, weights, the clock."""

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from daemon.commands.findings import CheckContext, Finding, failed, passed, skipped, warned
from daemon.config.models import find_weights
from daemon.config.schema import Config
from daemon.errors import DaemonError, describe
from daemon.settings import ModelSettings
from daemon.watching import inotify_limits, scan, watch_health
from daemon.watching.ignored_names import SkippedFolders

DEVICES = Path("/dev")
DRIVER = Path("/proc/driver/nvidia/version")
PCI = Path("/sys/bus/pci/devices")
NVIDIA = "0x10de"
#: Always one of each; the nodes of the cards are added.
NODES = ("nvidiactl", "nvidia-uvm")
MAKE_NODES = "nvidia-modprobe -c 0 -u && systemctl enable --now nvidia-persistenced"
MIN_QUEUED_EVENTS = 16_384
NEAR_LIMIT = 0.8
EARLIEST_DATE = (
    1_750_000_000.0  # UTC seconds; an earlier date is wrong, because this program is younger
)
TIMEOUT_S = 10.0


# --- inotify ------------------------------------------------------------------------------------


def inotify(context: CheckContext) -> Iterator[Finding]:
    """Check whether there are enough watches and instances for this user."""
    use = inotify_limits.usage_of(context.user.uid)
    needed = needed_watches(context)
    yield check_limit(
        "inotify watches",
        inotify_limits.WATCHES,
        use.watches,
        needed,
        inotify_limits.RECOMMENDED_WATCHES,
        use,
    )
    more = int(context.pid is None and needed > 0)
    yield check_limit(
        "inotify instances",
        inotify_limits.INSTANCES,
        use.instances,
        more,
        inotify_limits.RECOMMENDED_INSTANCES,
        use,
    )
    queued = inotify_limits.read(inotify_limits.QUEUED_EVENTS)
    text = f"{queued} events may wait to be read"
    if queued == inotify_limits.UNKNOWN:
        yield skipped("inotify queue", "the kernel does not tell how many events may wait")
    elif queued < MIN_QUEUED_EVENTS:
        yield warned(
            "inotify queue", text, sysctl_command(inotify_limits.QUEUED_EVENTS, MIN_QUEUED_EVENTS)
        )
    else:
        yield passed("inotify queue", text)


def needed_watches(context: CheckContext) -> int:
    """Return how many watches hot folders still need; polled ones need none."""
    wanted = 0
    for folder in context.folders:
        is_served = context.pid is not None and folder.name not in context.report.get("polled", {})
        if folder.path.is_dir() and not is_served and not watch_health.why_polled(folder):
            left_out = SkippedFolders(folder)
            found = scan.folders(folder.path, is_deep=folder.recursive, skipped=left_out)
            wanted += 1 + sum(1 for _ in found)  # one for the canary
    return wanted


def check_limit(  # one check, with all that it compares
    check: str,
    names: tuple[str, ...],
    used: int,
    needed: int,
    recommended: int,
    use: inotify_limits.Usage,
) -> Finding:
    """Compare one limit with what is used and what is needed in addition."""
    allowed = inotify_limits.effective_limit(names)
    if allowed == inotify_limits.UNKNOWN:
        return skipped(check, "the kernel does not tell its limit")
    more = f", {needed} more needed" if needed else ""
    least = "at least " if use.is_partial else ""
    text = f"{least}{used} of {allowed} are used{more}"
    name, number = inotify_limits.setting(names, needed=needed, recommended=recommended)
    if used + needed > allowed:
        return warned(check, f"{text}: folders are polled", sysctl_command(name, number))
    if used + needed > NEAR_LIMIT * allowed:
        return warned(check, text, sysctl_command(name, number))
    return passed(check, text)


def sysctl_command(name: str, number: int) -> str:
    """Return a command that sets a limit now and after the next start."""
    return f"sysctl -w {name}={number} && echo {name}={number} >> /etc/sysctl.d/90-inotify.conf"


# --- weights and devices --------------------------------------------------------------------------


def models(context: CheckContext) -> Iterator[Finding]:
    """Check each model's hash and content, and its devices."""
    for model in context.models:
        yield from check_model(context, model)


def check_model(context: CheckContext, model: ModelSettings) -> Iterator[Finding]:
    """Check one model; what is wrong with its file hides what may be wrong with its device."""
    names = ", ".join(model.devices)
    label = "" if len(context.models) == 1 else f" of {model.name}"
    try:
        from daemon.worker import predictors

        predictors.check_model(model, (context.state,))
    except ImportError as error:
        mend = "install cvunet-daemon anew, into an environment of its own"
        yield failed("weights", f"the network cannot be loaded: {describe(error)}", mend)
        return
    except DaemonError as error:
        yield failed(f"weights{label}", str(error), other_weights(context, model))
        return
    yield passed(f"weights{label}", f"{model.file} is as its manifest says")
    try:
        found = ", ".join(predictors.found_devices(model))
        if "auto" in model.devices and "cpu" in found and DRIVER.exists():
            mend = f"in {context.config_path}: model: {{device: cuda:0}}, to be told why"
            yield warned(f"device{label}", f"{names} is {found} here", mend)
            return
        yield passed(f"device{label}", f"{names} is {found} here")
    except DaemonError as error:
        mend = f"correct what GPU says below, or in {context.config_path}: model: {{device: auto}}"
        yield failed(f"device{label}", str(error), mend)


def other_weights(context: CheckContext, model: ModelSettings) -> str:
    """Return how to use the weights that came with the program, unless they are faulty."""
    shipped = find_weights(Config(), context.base)
    if context.config.models:
        return f"mend models.{model.name} in {context.config_path}, or its file"
    if shipped.exists() and shipped != model.file:
        return f"in {context.config_path}: model: {{weights: {shipped}}}"
    return "install cvunet-daemon anew, or put back models/ of its source tree"


def gpu(context: CheckContext) -> Iterator[Finding]:
    """Check NVIDIA's card, driver and device nodes."""
    devices = {name for model in context.models for name in model.devices}
    is_wanted = any(name.startswith("cuda") for name in devices)
    has_card, has_driver = has_nvidia_card(), DRIVER.exists()
    if devices == {"cpu"}:
        yield skipped("GPU", "model.device is cpu")
    elif not has_card and not has_driver:
        text = "this machine has no NVIDIA card"
        if is_wanted:
            yield failed("GPU", text, f"in {context.config_path}: model: {{device: auto}}")
        else:
            yield passed("GPU", f"{text}: the CPU does the work")
    elif not has_driver:
        finding = failed if is_wanted else warned
        text = "there is an NVIDIA card, but its driver is not loaded"
        yield finding("GPU driver", text, "modprobe nvidia, after installing the driver")
    else:
        version = DRIVER.read_text(encoding="utf-8", errors="replace").splitlines()[0]
        yield passed("GPU driver", " ".join(version.split()))
        yield from check_device_nodes(context)


def has_nvidia_card() -> bool:
    """Whether some display controller is NVIDIA's."""
    for device in PCI.glob("*"):
        try:
            vendor = (device / "vendor").read_text(encoding="ascii").strip()
            kind = (device / "class").read_text(encoding="ascii").strip()
        except OSError:
            continue
        if vendor == NVIDIA and kind.startswith("0x03"):
            return True
    return False


def check_device_nodes(context: CheckContext) -> Iterator[Finding]:
    """Check the device nodes: the unit may not load modules, so they must exist before."""
    cards = sorted(path.name for path in DEVICES.glob("nvidia[0-9]*"))
    missing = [name for name in NODES if not is_device(DEVICES / name)]
    if missing or not cards:
        text = f"/dev/{missing[0] if missing else 'nvidia0'} is missing"
        yield failed("GPU nodes", text, MAKE_NODES)
        return
    mine = context.user.uid == os.geteuid()
    closed = [n for n in (*NODES, *cards) if mine and not os.access(DEVICES / n, os.R_OK | os.W_OK)]
    if closed:
        text = f"/dev/{closed[0]} may not be used by {context.user.name}"
        group = f"usermod --append --groups video {context.user.name}"
        yield failed("GPU nodes", text, f"{group} (or the group that ls -l /dev/{closed[0]} shows)")
        return
    yield passed("GPU nodes", f"{', '.join(cards)} and their control nodes are there")


def is_device(path: Path) -> bool:
    """Whether a character device is there."""
    try:
        return stat.S_ISCHR(path.stat().st_mode)
    except OSError:
        return False


# --- the clock ------------------------------------------------------------------------------------


def clock(context: CheckContext) -> Iterator[Finding]:
    """Check the clock, by which folders are named and deleted."""
    if context.now < EARLIEST_DATE:
        text = f"the date is {datetime.fromtimestamp(context.now, UTC):%Y-%m-%d}: long past"
        yield failed("clock", text, "timedatectl set-ntp true")
        return
    program = shutil.which("timedatectl")
    if program is None:
        yield skipped(
            "clock", "timedatectl is not there to say whether the clock is set by a server"
        )
        return
    command = [program, "show", "--property=NTPSynchronized", "--value"]
    try:
        asked = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        yield skipped("clock", "timedatectl does not answer")
        return
    answer = asked.stdout.strip()
    if answer == "yes":
        yield passed("clock", "it is set by a time server")
    elif answer == "no":
        text = (
            "it is not set by a time server: folders may get wrong names, or be deleted too early"
        )
        yield warned("clock", text, "timedatectl set-ntp true")
    else:
        yield skipped("clock", "timedatectl does not tell whether it is set by a time server")
