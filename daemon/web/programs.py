"""Programs that the server waits for; none of them outlives it."""

import subprocess
import threading
from collections.abc import Mapping, Sequence
from typing import IO

from daemon.web.problems import unavailable

Stream = IO[bytes] | int


class Programs:
    """Those that run now, for any thread."""

    def __init__(self) -> None:
        self.running: set[subprocess.Popen[bytes]] = set()
        self.is_closed = False
        self.lock = threading.Lock()

    def run(
        self,
        command: Sequence[str],
        *,
        timeout_s: float,
        stdin: Stream = subprocess.DEVNULL,
        stdout: Stream = subprocess.PIPE,
        pass_fds: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Return how a program ended, and what came through the pipe; nobody sees its errors.

        `TimeoutExpired` if it takes too long; `Problem` if the server stops.
        """
        with self.lock:
            if self.is_closed:
                raise unavailable("the server stops")
            process = subprocess.Popen(
                command,
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.DEVNULL,
                pass_fds=pass_fds,
                env=environment,
            )
            self.running.add(process)
        with process:
            try:
                content, _ = process.communicate(timeout=timeout_s)
            finally:
                process.kill()
                with self.lock:
                    self.running.remove(process)
        return process.returncode, content or b""

    def close(self) -> None:
        """End all, and let none begin any more."""
        with self.lock:
            self.is_closed = True
            for process in self.running:
                process.kill()
