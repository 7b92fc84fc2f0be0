"""A unit of a laboratory machine that runs out of memory: the kernel kills, and systemd is told.

Where the machine has the memory controller, its systemd sets the limit and hears of the kill.
Elsewhere (control groups of version 1 on the host) we set the limit, and systemd is told by
`tell_systemd`.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.system.systemd_machine import Machine, wait_for

GROUPS = Path("/sys/fs/cgroup")
#: What systemd-oomd writes at a unit's group when it has killed. systemd looks there whenever it
#: reaps a process of the unit: so this makes one, and kills it.
TELL = """
import os, signal, sys
group, number = sys.argv[1:]
told, tell = os.pipe()
if os.fork() == 0:
    with open(f"{group}/cgroup.procs", "w") as members:
        members.write("0")
    if os.fork() == 0:
        os.write(tell, str(os.getpid()).encode())
        signal.pause()
    os._exit(0)  # the other one is systemd's from now on
os.wait()
os.setxattr(group, "user.oomd_ooms", number.encode())
os.kill(int(os.read(told, 20)), signal.SIGKILL)
"""
Kills = Callable[[], int]


@contextmanager
def limited(machine: Machine, unit: str, room_bytes: int) -> Iterator[Kills]:
    """Let a running unit take only so much more than it has; how many processes that has killed."""
    has_controller = "memory" in machine.run("cat", f"{GROUPS}/cgroup.controllers")
    with (limited_by_systemd if has_controller else limited_by_us)(
        machine, unit, room_bytes
    ) as kills:
        yield kills


@contextmanager
def limited_by_systemd(machine: Machine, unit: str, room_bytes: int) -> Iterator[Kills]:
    """By `MemoryMax=`; without a limit afterwards."""
    most = int(shown(machine, unit, "MemoryCurrent")) + room_bytes
    events = f"{group_of(machine, unit)}/memory.events"

    def set_limit(value: str) -> None:
        settings = (f"MemoryMax={value}", "MemorySwapMax=0")
        machine.run("systemctl", "set-property", "--runtime", unit, *settings)

    set_limit(str(most))
    try:
        yield lambda: counted(machine.run("cat", events))
    finally:
        set_limit("infinity")


@contextmanager
def limited_by_us(machine: Machine, unit: str, room_bytes: int) -> Iterator[Kills]:
    """By a group beside our own, which the unit's processes are in meanwhile."""
    ours = own_group()
    group = ours / f"cvunetd-limit-{os.getpid()}"
    group.mkdir()
    (group / "memory.limit_in_bytes").write_text(str(room_bytes), encoding="ascii")
    try:
        for pid in members(machine, unit):
            enter(group, pid)
        yield lambda: counted((group / "memory.oom_control").read_text(encoding="ascii"))
    finally:
        assert wait_for(lambda: is_dissolved(group, ours), patience_s=20.0), group


def enter(group: Path, pid: int) -> None:
    """Put a process into a group, if it is still there."""
    with suppress(ProcessLookupError):
        (group / "cgroup.procs").write_text(str(pid), encoding="ascii")


def is_dissolved(group: Path, parent: Path) -> bool:
    """Whether a group could be removed, its processes being in the parent's."""
    for pid in (group / "cgroup.procs").read_text(encoding="ascii").split():
        enter(parent, int(pid))
    with suppress(OSError):  # one that has just been started, or is about to end
        group.rmdir()
    return not group.exists()


def tell_systemd(machine: Machine, unit: str) -> None:
    """Tell systemd that the unit has lost a process for lack of memory, as systemd-oomd does."""
    machine.write("/opt/laboratory/tell.py", TELL)
    larger = str(machine.moment())  # than the last one
    machine.run("python3", "/opt/laboratory/tell.py", group_of(machine, unit), larger)


def group_of(machine: Machine, unit: str) -> str:
    """The unit's control group, as the machine names it."""
    return f"{GROUPS}{shown(machine, unit, 'ControlGroup')}"


def shown(machine: Machine, unit: str, name: str) -> str:
    """What systemd says of a unit."""
    return machine.run("systemctl", "show", "--value", "--property", name, unit).strip()


def counted(text: str) -> int:
    """How often the kernel has killed, by a file of a group."""
    [count] = [line.split()[1] for line in text.splitlines() if line.startswith("oom_kill ")]
    return int(count)


def own_group() -> Path:
    """The group of version 1 that limits our own memory."""
    lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    [path] = [line.partition(":memory:")[2] for line in lines if ":memory:" in line]
    return GROUPS / "memory" / path.lstrip("/")


def members(machine: Machine, unit: str) -> list[int]:
    """Process ids, here, of the unit's processes."""
    inside = machine.run("cat", f"{group_of(machine, unit)}/cgroup.procs").split()
    space = Path(f"/proc/{machine.leader}/ns/pid").readlink()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            text = (folder / "status").read_text(encoding="utf-8")
            numbers = text.partition("NSpid:")[2].partition("\n")[0].split()
            if numbers[-1] in inside and (folder / "ns/pid").readlink() == space:
                found.append(int(folder.name))
    return found
