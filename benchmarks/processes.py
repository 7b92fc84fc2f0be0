"""Whole processes, measured from outside: wall time, CPU time, memory."""

import os
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

SAMPLE_S = 0.25
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
MEGA = 1_000_000


class BenchmarkError(Exception):
    """A program did not do what was measured."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process took."""

    wall_s: float
    cpu_s: float
    main_s: float
    """CPU seconds of its first thread alone."""
    peak_mb: float
    """Of the process and its children."""
    resident_mb: tuple[float, ...] = field(default=())
    """Over time, every ``SAMPLE_S``."""


@dataclass(slots=True)
class Samples:
    """What was seen of a process while it ran."""

    main_s: float = 0.0
    peak_mb: float = 0.0
    children_mb: float = 0.0
    """The most of all children together."""
    resident_mb: list[float] = field(default_factory=list)


def run(command: Sequence[str | Path], *, environment: Mapping[str, str] | None = None) -> Usage:
    """Run a program to its end; `BenchmarkError` with its last words if it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(
        list(map(str, command)),
        env={**as_installed(), **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    samples, ended = Samples(), threading.Event()
    sampler = threading.Thread(target=watch, args=(process.pid, samples, ended.is_set))
    sampler.start()
    assert process.stdout is not None
    with process.stdout as stream:
        words = stream.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - began
    ended.set()
    sampler.join()
    if process.returncode:
        raise BenchmarkError(f"{command[0]} ended with {process.returncode}: {words[-2000:]}")
    return Usage(
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        main_s=samples.main_s,
        peak_mb=samples.peak_mb,
        resident_mb=tuple(samples.resident_mb),
    )


def as_installed() -> dict[str, str]:
    """The environment of a program whose modules are compiled once, not at each start.

    An installer compiles them. A tree of sources is compiled by the first run, unless a developer's
    environment forbids it.
    """
    left_out = ("NOTIFY_SOCKET", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if name not in left_out}


def watch(process: int, samples: Samples, is_over: Callable[[], bool]) -> None:
    """Look at a process until it ends."""
    while not is_over():
        try:
            samples.main_s = thread_seconds(process, process)
            samples.resident_mb.append(resident_mb(process))
            samples.children_mb = max(samples.children_mb, children_mb(process))
            samples.peak_mb = peak_mb(process) + samples.children_mb
        except (OSError, IndexError, StopIteration):  # it ends while we look
            return
        time.sleep(SAMPLE_S)


def thread_seconds(process: int, thread: int) -> float:
    """CPU seconds that a thread has used so far."""
    return seconds_told(Path(f"/proc/{process}/task/{thread}/stat"))


def process_seconds(process: int) -> float:
    """CPU seconds that all threads of a process have used so far."""
    return seconds_told(Path(f"/proc/{process}/stat"))


def seconds_told(file: Path) -> float:
    """User and system time in a ``stat`` file of proc(5)."""
    fields = file.read_text(encoding="ascii").rpartition(")")[2].split()  # names hold anything
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def resident_mb(process: int) -> float:
    """Memory of a process that lies in RAM."""
    text = Path(f"/proc/{process}/statm").read_text(encoding="ascii")
    return int(text.split()[1]) * PAGE_BYTES / MEGA


def peak_mb(process: int) -> float:
    """The most that a process has had in RAM so far.

    `wait4` would tell that of the process which it came from, if that was more: who draws large
    photos has.
    """
    text = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
    line = next(line for line in text.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / MEGA


def children_mb(process: int) -> float:
    """Memory in RAM that the children of a process have for themselves alone, grandchildren too.

    What they share with it, such as libraries and pixels, counts as its own. A child that is just
    being started has all memory of its parent for some milliseconds: it is left out.
    """
    found, own = 0.0, command_line(process)
    for thread in Path(f"/proc/{process}/task").iterdir():
        for child in (thread / "children").read_text(encoding="ascii").split():
            with suppress(OSError):  # it has ended meanwhile
                if command_line(int(child)) != own:
                    found += private_mb(int(child)) + children_mb(int(child))
    return found


def command_line(process: int) -> bytes:
    """Return the program and its arguments; until it runs its own one, those of its parent."""
    return Path(f"/proc/{process}/cmdline").read_bytes()


def private_mb(process: int) -> float:
    """Memory in RAM that no other process shares."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
    lines = [line.split() for line in text.splitlines() if line.startswith("Private_")]
    return sum(int(line[1]) for line in lines) * 1024 / MEGA


def medians(usages: Sequence[Usage]) -> Usage:
    """The median of each figure."""
    return Usage(
        wall_s=statistics.median(usage.wall_s for usage in usages),
        cpu_s=statistics.median(usage.cpu_s for usage in usages),
        main_s=statistics.median(usage.main_s for usage in usages),
        peak_mb=statistics.median(usage.peak_mb for usage in usages),
    )
