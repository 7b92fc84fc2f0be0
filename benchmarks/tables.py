"""Figures as Markdown that is also easy to read in a terminal."""

import importlib.metadata
import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

LIBRARIES = ("torch", "numpy", "pillow", "opencv-python-headless", "watchdog")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """One table; the first column to the left, the others to the right."""
    lines = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    ruler = "|".join(
        "-" * (width + 1) + ("-" if column == 0 else ":") for column, width in enumerate(widths)
    )
    text = [cells(line, widths) for line in lines]
    return "\n".join([text[0], f"|{ruler}|", *text[1:]])


def cells(line: Sequence[str], widths: Sequence[int]) -> str:
    """One line."""
    padded = [
        cell.ljust(width) if column == 0 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |"


def machine() -> str:
    """Processor, cores that we may use, memory, versions."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {version}" for name, version in libraries())
    cores = len(os.sched_getaffinity(0))
    return (
        f"{model}, {cores} cores, {memory:.0f} GiB; Linux {platform.release()}, "
        f"Python {platform.python_version()}; {versions}"
    )


def libraries() -> Iterator[tuple[str, str]]:
    """Those that are installed, with their versions."""
    for name in LIBRARIES:
        with suppress(importlib.metadata.PackageNotFoundError):
            yield name, importlib.metadata.version(name)
