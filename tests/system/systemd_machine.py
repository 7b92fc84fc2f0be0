"""A machine with a real systemd of its own: this one's files, with a layer over them to write to.

`systemd-nspawn` boots it. It has no network, and nothing that happens in it reaches this machine.
`python -m tests.system.systemd_machine` tells in one line whether that can be done here: it tries.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BOOT_S = 90.0
COMMAND_S = 120.0
CONSOLE_LINES = 15
#: The exit status that says so; a fault in here ends with another.
NO_BOOT = 3
UNIT = "cvunetd.service"
PROGRAMS = ("systemd-nspawn", "nsenter", "systemctl", "setpriv", "mount", "umount")
#: In the machine: the interpreter and the libraries that run these tests. Where they lie here, the
#: daemon's sandbox may hide them.
PYTHON, LIBRARIES = Path("/opt/laboratory/python"), Path("/opt/laboratory/libraries")
SOURCE, WHEELS = Path("/opt/laboratory/source"), Path("/opt/laboratory/wheels")
#: Where this machine enables services of its own; the container boots without them.
ENABLED = "etc/systemd/system/*.target.wants/*"
SERIALS = count()
PREFIX = "cvunetd-machine-"
NSPAWN = (
    *("setpriv", "--pdeathsig", "TERM"),  # with us, should we be killed
    "systemd-nspawn",
    "--quiet",
    "--boot",
    "--register=no",
    "--keep-unit",
    "--private-network",
    "--console=read-only",
)


class CannotBoot(Exception):
    """This machine does not let us, and why."""


@cache
def obstacle() -> str:
    """Why no machine can be booted here; empty if one can, for one was. Takes some seconds.

    Nothing of the project is in it: what this says is about the rights that we have.
    """
    if os.geteuid() != 0:
        return "not running as root"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (on Debian: make apt-systemd)"
    try:
        with booted():
            return ""
    except CannotBoot as error:
        return str(error)


def wait_for(what: Callable[[], object], *, patience_s: float, pause_s: float = 0.2) -> bool:
    """Wait until something is so; False if it never is."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if what():
            return True
        time.sleep(pause_s)
    return False


class Machine:
    """The booted machine; commands run inside it, files are written through its root."""

    def __init__(self, root: Path, leader: int) -> None:
        """``leader``: the process id, here, of the machine's first process."""
        self.root = root
        self.leader = leader

    def run(
        self,
        *command: str,
        check: bool = True,
        patience_s: float = COMMAND_S,
        **environment: str,
    ) -> str:
        """Run a command inside; its output, errors included."""
        ended = self.process(*command, patience_s=patience_s, **environment)
        assert ended.returncode == 0 or not check, f"{command}: {ended.stdout}"
        return ended.stdout

    def process(
        self, *command: str, patience_s: float = COMMAND_S, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside; the process after its end."""
        variables = [f"{key}={value}" for key, value in environment.items()]
        enter = ["nsenter", "--target", str(self.leader), "--all"]
        return subprocess.run(
            [*enter, "env", *variables, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=patience_s,
            check=False,
        )

    def path(self, inside: str | Path) -> Path:
        """A path inside, as it is reached from here; tmpfs mounts inside cannot be."""
        return self.root / Path(inside).relative_to("/")

    def write(self, inside: str, text: str) -> None:
        """A file inside, its folders made."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def state(self) -> str:
        """What its systemd says of itself; whatever else, as long as it cannot be asked."""
        try:
            return self.run("systemctl", "is-system-running", check=False).strip()
        except subprocess.TimeoutExpired:
            return "does not answer"

    # --- the service ------------------------------------------------------------------------

    def property(self, name: str) -> str:
        """What systemd says of the service."""
        return self.run("systemctl", "show", "--value", "--property", name, UNIT).strip()

    def pid(self) -> int:
        """The daemon's process id inside; 0 if there is none."""
        return int(self.property("MainPID"))

    def wait_until_active(self, *, patience_s: float = 90.0) -> None:
        """The service is ready."""
        is_active = wait_for(
            lambda: self.property("ActiveState") == "active", patience_s=patience_s
        )
        assert is_active, self.log()

    def restart(self) -> None:
        """A fresh life; returns when it is ready."""
        self.run("systemctl", "reset-failed", UNIT, check=False)
        self.run("systemctl", "restart", UNIT)

    def drop_in(self, name: str, text: str) -> None:
        """Another setting of the unit, from its next start on."""
        self.write(f"/etc/systemd/system/{UNIT}.d/{name}.conf", text)
        self.run("systemctl", "daemon-reload")

    def entries(self, event: str = "", *, since: int = 0) -> list[dict[str, Any]]:  # Any: JSON
        """Journal entries of the service's processes, with a message id if one is given.

        ``since`` is a moment of `moment`. journalctl's own ``--after-cursor`` leaves out the first
        entry of those that match.
        """
        told = self.run("journalctl", "--output=json", "--all", f"_SYSTEMD_UNIT={UNIT}")
        entries = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
        return [
            entry
            for entry in entries
            if int(entry["__MONOTONIC_TIMESTAMP"]) > since
            and (not event or entry.get("MESSAGE_ID") == event)
        ]

    def moment(self) -> int:
        """Now, as the journal counts: microseconds of the clock that both machines share."""
        return int(time.monotonic() * 1_000_000)

    def log(self) -> str:
        """What a person would read."""
        return self.run("journalctl", "--no-pager", "--unit", UNIT, "--lines=60", check=False)


# --- booting -------------------------------------------------------------------------------------


@contextmanager
def layered(folder: Path) -> Iterator[Path]:
    """This machine's root with a layer in memory over it."""
    layer, root = folder / "layer", folder / "root"
    layer.mkdir()
    root.mkdir()
    with ExitStack() as stack:
        mount("-t", "tmpfs", "-o", "size=2G,mode=0755", "tmpfs", layer)
        stack.callback(unmount, layer)
        (layer / "upper").mkdir()
        (layer / "scratch").mkdir()
        options = f"lowerdir=/,upperdir={layer}/upper,workdir={layer}/scratch"
        mount("-t", "overlay", "-o", options, "overlay", root)
        stack.callback(unmount, root)
        for unit in list(root.glob(ENABLED)):
            unit.unlink()
        yield root


def mount(*arguments: str | Path) -> None:
    """Mount something; `CannotBoot` if that may not be."""
    command = ["mount", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        why = " ".join(done.stderr.split()) or f"status {done.returncode}"
        raise CannotBoot(f"nothing can be mounted ({arguments[1]}): {why}")


def unmount(place: Path) -> None:
    """Also while a process that dies still holds it."""
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def libraries_and_python() -> list[str]:
    """Options that show the machine what runs these tests."""
    return [
        f"--bind-ro={sys.base_prefix}:{PYTHON}",
        f"--bind-ro={sysconfig.get_path('purelib')}:{LIBRARIES}",
    ]


@contextmanager
def booted(*options: str) -> Iterator[Machine]:
    """A machine that has come up; it is gone afterwards. ``options``: more of systemd-nspawn's."""
    remove_left()
    # Not pytest's own folder: its path may hold what nspawn's options give a meaning.
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-") as name:
        folder = Path(name)
        with layered(folder) as root, (folder / "console").open("wb") as console:
            process = subprocess.Popen(
                [
                    *NSPAWN,
                    f"--machine=laboratory-{os.getpid()}-{next(SERIALS)}",
                    f"--directory={root}",
                    *libraries_and_python(),
                    *options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            )
            try:
                yield came_up(root, process, folder / "console")
            finally:
                shut_down(process)


def remove_left() -> None:
    """What processes that were killed have left: they could not unmount."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            for place in (folder / "root", folder / "layer"):
                if place.is_mount():
                    unmount(place)
            shutil.rmtree(folder)


def came_up(root: Path, process: "subprocess.Popen[bytes]", console: Path) -> Machine:
    """The machine, once its systemd says that it runs; `CannotBoot` with its console's end."""
    deadline = time.monotonic() + BOOT_S
    while time.monotonic() < deadline and process.poll() is None:
        leader = first_child(process.pid)
        machine = Machine(root, leader)
        if leader and machine.state() in ("running", "degraded"):
            return machine
        time.sleep(0.5)
    told = console.read_text(encoding="utf-8", errors="replace").splitlines()
    end = " | ".join([line.strip() for line in told if line.strip()][-CONSOLE_LINES:])
    status = process.poll()
    how = f"is not up after {BOOT_S:.0f} s" if status is None else f"ended with status {status}"
    raise CannotBoot(f"systemd-nspawn {how}: {end}")


def first_child(pid: int) -> int:
    """The oldest process that another has started; 0 if there is none."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:  # it has just ended
        return 0
    return int(children[0]) if children else 0


def shut_down(process: "subprocess.Popen[bytes]") -> None:
    """End the machine as a power cut does: nothing in it is to be kept."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(20.0)  # the kernel ends the machine's first process with it, and so all


# --- what is put into it -------------------------------------------------------------------------


def copy_source(folder: Path) -> None:
    """What belongs to the project, and nothing that was built in the checkout."""
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "runs")
    names = ("cvunet", "daemon", "docs", "models", "packaging")
    for name in names:
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for file in ROOT.iterdir():
        if file.is_file() and not file.name.startswith("."):
            shutil.copy2(file, folder / file.name)


def build_wheel(source: Path, out: Path) -> Path:
    """The program as pip installs it, built with the libraries that are here."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(out), str(source)], check=True)
    [wheel] = out.glob("*.whl")
    return wheel


if __name__ == "__main__":
    why_not = obstacle()
    sys.stdout.write(f"{why_not or 'a systemd of its own boots here'}\n")
    sys.exit(NO_BOOT if why_not else 0)
