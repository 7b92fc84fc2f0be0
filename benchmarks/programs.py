"""The programs that are compared, as their users start them: a folder in, a folder out."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks import processes
from benchmarks.processes import BenchmarkError, Usage

WEIGHTS = Path(__file__).parents[1] / "models" / "cvunet.pth"


class Program(Protocol):
    """Cuts out a folder of pictures."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def run(self, photos: Path, out: Path) -> Usage:
        """One whole process; `BenchmarkError` if a picture is missing afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class Ours:
    """`cvunetd batch IN OUT`."""

    config: Path
    runtime: str
    """A key of `bars.LIMITS`."""

    @property
    def name(self) -> str:
        """See `Program`."""
        return f"cvunetd, {self.runtime}"

    def run(self, photos: Path, out: Path) -> Usage:
        """See `Program`."""
        command = (sys.executable, "-m", "daemon", "batch", photos, out, "--config", self.config)
        return checked(processes.run(command), photos, out)


@dataclass(frozen=True, slots=True)
class Rembg:
    """`rembg p -m u2net IN OUT`, in an environment of its own."""

    environment: Path
    weights: Path
    name: str = "rembg p -m u2net"

    def run(self, photos: Path, out: Path) -> Usage:
        """See `Program`."""
        command = (self.environment / "bin" / "rembg", "p", "-m", "u2net", photos, out)
        home = {"U2NET_HOME": str(self.weights.parent)}
        return checked(processes.run(command, environment=home), photos, out)


def checked(usage: Usage, photos: Path, out: Path) -> Usage:
    """The usage, if every photo has its cut-out."""
    made = {path.stem for path in out.glob("*.png")}
    missing = sorted(path.name for path in photos.iterdir() if path.stem not in made)
    if missing:
        raise BenchmarkError(f"{out}: no cut-out of {', '.join(missing[:3])} …")
    return usage
