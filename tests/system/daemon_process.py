"""The real `cvunetd`, as a process, on real folders."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "models" / "cvunet.pth"
PATIENCE_S = 180.0  # machines that run tests are slow; a healthy daemon needs a few seconds

SETTINGS = {
    "folders": [{"path": "hot", "settle_s": 1.0, "defer_s": 2.0}],
    "output": {"drop_idle_s": 600},
    "model": {"weights": str(WEIGHTS), "device": "cpu"},
    "retention": {"min_free_mb": 1},
}


def wait_for(
    what: Callable[[], bool], *, patience_s: float = PATIENCE_S, pause_s: float = 0.05
) -> bool:
    """Wait until something is so; False if it never is."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if what():
            return True
        time.sleep(pause_s)
    return False


def command(*arguments: str | Path) -> list[str]:
    """`cvunetd` with arguments, from this very source tree."""
    return [sys.executable, "-m", "daemon", *map(str, arguments)]


def environment() -> dict[str, str]:
    """Ours, with the source tree importable from everywhere, and no systemd that listens."""
    kept = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
    return kept | {"PYTHONPATH": str(ROOT)}


def call(base: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command of `cvunetd` in a folder to its end."""
    return subprocess.run(
        command(*arguments),
        cwd=base,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


class Daemon:
    """One life of `cvunetd run`."""

    def __init__(
        self,
        base: Path,
        settings: dict[str, object] | None = None,
        *,
        extra_environment: dict[str, str] | None = None,
        wrapper: tuple[str, ...] = (),
        arguments: list[str] | None = None,
    ) -> None:
        """``wrapper``: a command that ends by running the one that follows it, in its own place.

        ``arguments`` start something else that serves in the same way.
        """
        self.base = base
        self.hot = base / "hot"
        self.hot.mkdir(exist_ok=True)
        self.config = base / "config.yaml"
        self.config.write_text(yaml.safe_dump(SETTINGS | (settings or {})))
        self.log = base / "log"
        self.log_start = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*wrapper, *(arguments or command("run", "--config", self.config))],
                cwd=base,
                env=environment() | (extra_environment or {}),
                stderr=log,
            )

    def wait_ready(self, *, patience_s: float = PATIENCE_S) -> None:
        """The model is warm and the folders are watched."""
        assert wait_for(
            lambda: "watching" in self.told() or self.has_ended(), patience_s=patience_s
        ), self.told()
        assert not self.has_ended(), self.told()

    def has_ended(self) -> bool:
        """The process is gone."""
        return self.process.poll() is not None

    def told(self) -> str:
        """What this life has logged."""
        with self.log.open("rb") as log:
            log.seek(self.log_start)
            return log.read().decode("utf-8", "replace")

    def terminate(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        if not self.has_ended():
            self.process.kill()
            self.process.wait(PATIENCE_S)

    def drops(self) -> list[Path]:
        """All output folders."""
        return sorted((self.base / "outputs").glob("outputs_*"))

    def results(self) -> set[str]:
        """Names of all cut-outs, relative to their drop."""
        return {
            path.relative_to(drop).as_posix()
            for drop in self.drops()
            for path in drop.rglob("[!.]*.png")
            if path.relative_to(drop).parts[0] not in ("originals", "review")
        }

    def quarantined(self) -> set[str]:
        """Names of all rejected pictures that have their reason beside them."""
        failed = self.base / "failed"
        return {path.name.removesuffix(".json") for path in failed.rglob("*.json")}
