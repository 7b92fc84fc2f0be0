"""One decode child as the daemon sees it: started, limited, asked, ended."""

import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import daemon
from daemon.worker.children import channel
from daemon.worker.children.channel import Message
from daemon.worker.children.layout import Buffers
from daemon.worker.children.patience import ChildClock
from daemon.worker.decoding import Abandoned

#: A loaded machine may take so long to import the decoders.
START_S = 60.0
#: Whether nobody waits for an answer any more is looked at so often.
LOOK_S = 0.2
END_S = 2.0
#: Of the environment; what else is in it is no business of a stranger's file.
KEPT = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "PYTHONHOME")
SETTINGS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
#: Its arguments: where to import from, its end of the socket, our process, our packages' folder.
PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from daemon.worker.children import child
child.main(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
"""
ROOT = Path(daemon.__file__).parents[1]
OUTPUT_BYTES = 1 << 16  # of a pipe
TOLD_LETTERS = 500
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Ended(Exception):
    """The child is gone, and its answer with it."""


class TookTooLong(Exception):
    """No answer came in time."""

    def __init__(self, seconds: float) -> None:
        """``seconds``: in which the child could have worked, or was stopped."""
        super().__init__(f"no answer in {seconds:.0f} s")
        self.seconds = seconds


class DecodeChild:
    """A running child. Used by one thread at a time."""

    def __init__(self, program: str | None = None) -> None:
        """Start it, without waiting until it is ready. `OSError` if there is no process for it.

        ``program``: what it runs instead of decoding pictures.
        """
        self.end, theirs = channel.pair()
        # What nobody reads in time is lost, and nobody is held up by it.
        self.output, written = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self.process = subprocess.Popen(
                command(theirs.fileno(), program or PROGRAM),
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                pass_fds=(theirs.fileno(),),
                cwd="/",
                env=environment(),
                start_new_session=True,  # Ctrl-C on a terminal is for us
            )
        except BaseException:
            self.end.close()
            os.close(self.output)
            raise
        finally:
            theirs.close()
            os.close(written)
        self.buffers = Buffers()
        self.confined_by: list[str] | None = None
        """What its kernel enforces; None until it is ready."""

    @property
    def is_alive(self) -> bool:
        """It has not ended."""
        return self.process.poll() is None

    def make_ready(self, is_abandoned: Callable[[], bool]) -> None:
        """Wait until it can be asked. `Ended`, `TookTooLong`, `Abandoned`."""
        if self.confined_by is None:
            told = self.receive(START_S, is_abandoned).get("confined_by", [])
            self.confined_by = [str(name) for name in told]

    def ask(
        self,
        message: Message,
        descriptors: Iterable[int],
        *,
        within_s: float,
        is_abandoned: Callable[[], bool],
    ) -> Message:
        """An answer. `Ended`, `TookTooLong`, `Abandoned`."""
        try:
            channel.send(self.end, message, descriptors)
        except OSError as error:
            raise Ended from error
        return self.receive(within_s, is_abandoned)

    def receive(self, within_s: float, is_abandoned: Callable[[], bool]) -> Message:
        """Wait for what it says; see `ask`.

        ``within_s`` is time in which it could have worked: see `ChildClock`.
        """
        clock = ChildClock(self.process.pid)
        waiting = select.poll()
        waiting.register(self.end, select.POLLIN)
        while not waiting.poll(LOOK_S * 1000):
            if is_abandoned():
                raise Abandoned
            seconds = clock.seconds(time.monotonic())
            if seconds > within_s or clock.is_forgotten:
                raise TookTooLong(seconds + clock.stopped_s)
        try:
            answer = channel.receive(self.end)
        except (OSError, ValueError, RecursionError) as error:
            raise Ended from error
        if not answer:
            raise Ended
        return answer

    def allow(self, memory_bytes: int, *, cpu_s: float) -> int:
        """Limit what it may take from now on; the bytes of address space that this makes."""
        limit = self.held_bytes() + memory_bytes
        for kind, most in (
            (resource.RLIMIT_AS, limit),
            (resource.RLIMIT_CPU, int(self.cpu_s() + cpu_s) + 2),
        ):
            with suppress(OSError, ValueError):  # it has ended, which the next question tells
                _, hard = resource.prlimit(self.process.pid, kind)
                resource.prlimit(self.process.pid, kind, (most, hard))
        return limit

    def held_bytes(self) -> int:
        """Address space; 0 if it has ended. `OSError` if nobody can tell."""
        with suppress(FileNotFoundError, ProcessLookupError, LookupError):
            return int(self.about("statm").split()[0]) * PAGE_BYTES
        return 0

    def peak_bytes(self) -> int:
        """The most address space that it had in its life; 0 if it has ended."""
        with suppress(OSError):
            for line in self.about("status").splitlines():
                if line.startswith("VmPeak:"):
                    return int(line.split()[1]) * 1024
        return 0

    def cpu_s(self) -> float:
        """Seconds of processors, all of its threads together."""
        with suppress(OSError, LookupError):
            fields = self.about("stat").rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / TICKS_PER_S
        return 0.0

    def about(self, name: str) -> str:
        """What the kernel says of it."""
        return Path(f"/proc/{self.process.pid}/{name}").read_text(
            encoding="ascii", errors="replace"
        )

    def said(self) -> str:
        """What it has written since it was last asked, as far as the pipe has kept it."""
        with suppress(BlockingIOError):
            return os.read(self.output, OUTPUT_BYTES).decode("utf-8", "replace")
        return ""

    def last_words(self) -> str:
        """Why it has ended, or is ended now, and the end of what it has written."""
        status = self.wait()
        said = " ".join(self.said().split())[-TOLD_LETTERS:]
        return f"{name_of_signal(status)}: {said}"

    def kill(self) -> int | None:
        """End it; its exit status, None if it has not ended yet: a dead share may hold it."""
        self.process.kill()
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(END_S)
        return None

    def wait(self) -> int | None:
        """Its exit status once it has ended by itself; it is killed if it does not."""
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(END_S)
        return self.kill()

    def close(self) -> None:
        """Let go of its descriptors; one that is idle ends by itself."""
        self.buffers.close()
        self.end.close()
        with suppress(OSError):
            os.close(self.output)


def command(descriptor: int, program: str) -> Sequence[str]:
    """A Python that imports what this one does, and nothing from where it happens to be started."""
    paths = json.dumps([str(Path(path).absolute()) for path in sys.path])
    arguments = (paths, str(descriptor), str(os.getpid()), str(ROOT))
    return [sys.executable, "-P", "-B", "-c", program, *arguments]


def environment() -> dict[str, str]:
    """Return few variables: no notify socket, no credentials."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return kept | SETTINGS


def processors() -> int:
    """Return how many processors this process and its children may use."""
    return len(os.sched_getaffinity(0))


def name_of_signal(status: int | None) -> str:
    """Why it ended, for people."""
    if status is None or status >= 0:
        return f"exit status {status}"
    with suppress(ValueError):
        return signal.Signals(-status).name
    return f"signal {-status}"
