"""Programs that are started for each notice: no shell, JSON on standard input, a time limit."""

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

from daemon.errors import describe, printable
from daemon.notices import (
    Accepted,
    Command,
    Hook,
    Interrupted,
    Notice,
    PermanentFailure,
    Reply,
    TemporaryFailure,
)

TEMPFAIL = 75  # EX_TEMPFAIL of sysexits.h: "try again later"
#: What hangs or is killed is a fault of this notice as likely as of the moment.
MAX_ATTEMPTS = 3
GRACE_S = 2.0  # from SIGTERM to SIGKILL
POLL_S = 0.2  # how soon a stop of the daemon is noticed
OUTPUT_BYTES = 4096
REST_BYTES = 1024 * 1024  # of what still stands in the pipe when the program has ended
OUTPUT_LETTERS = 300  # letters of the output


class CommandSender:
    """Starts the command of one hook, in a session of its own."""

    def __init__(
        self,
        hook: Hook,
        command: Command,
        *,
        environment: Mapping[str, str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.argv = command.argv
        self.timeout_s = hook.timeout_s
        self.environment = environment
        self.monotonic = monotonic
        self.stopping = threading.Event()

    def send(self, notice: Notice) -> Reply:
        """Run it to its end; whatever it has started in its process group ends with it."""
        try:
            process = subprocess.Popen(
                self.argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=dict(self.environment),
                start_new_session=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            return TemporaryFailure(
                f"{printable(self.argv[0])} cannot be started: {describe(error)}"
            )
        with process:
            try:
                handle = os.pidfd_open(process.pid)
            except OSError as error:  # no more files may be open
                signal_group(process, signal.SIGKILL)
                return TemporaryFailure(
                    f"{printable(self.argv[0])} cannot be followed: {describe(error)}"
                )
            payload = notice.payload.encode("utf-8", "backslashreplace")
            with Conversation(process, handle, payload) as conversation:
                is_ended = self.wait_until_end(conversation)
                # Before the process is waited for: until then nobody else can get its number.
                signal_group(process, signal.SIGKILL)
                status = process.wait()
                conversation.read_rest()
        return self.reply_for(status, is_ended=is_ended, output=conversation.text)

    def wait_until_end(self, conversation: "Conversation") -> bool:
        """Talk until the end; False where it did not end by itself."""
        deadline = self.monotonic() + self.timeout_s
        while not conversation.has_ended:
            left_s = deadline - self.monotonic()
            if left_s <= 0 or self.stopping.is_set():
                self.terminate(conversation)
                return False
            conversation.poll(min(left_s, POLL_S))
        return True

    def terminate(self, conversation: "Conversation") -> None:
        """Ask it to end, and give it a moment."""
        signal_group(conversation.process, signal.SIGTERM)
        deadline = self.monotonic() + GRACE_S
        while not conversation.has_ended and (left_s := deadline - self.monotonic()) > 0:
            conversation.poll(left_s)

    def reply_for(self, status: int, *, is_ended: bool, output: str) -> Reply:
        """What its end means."""
        text = f": {output}" if output else ""
        if not is_ended and self.stopping.is_set():
            return Interrupted()
        if not is_ended:
            reason = f"not through after {self.timeout_s:g} s, ended{text}"
            return TemporaryFailure(reason, max_attempts=MAX_ATTEMPTS)
        if status < 0:
            name = signal.strsignal(-status) or f"signal {-status}"
            return TemporaryFailure(f"ended by a signal ({name}){text}", max_attempts=MAX_ATTEMPTS)
        if status == TEMPFAIL:
            return TemporaryFailure(f"exit status {TEMPFAIL}, try again later{text}")
        return Accepted() if status == 0 else PermanentFailure(f"exit status {status}{text}")

    def release(self) -> None:
        """Nothing is held open."""

    def abort(self) -> None:
        """The daemon stops."""
        self.stopping.set()


@dataclass(slots=True)
class Conversation:
    """Both ends of a program's pipes, and its end, whichever comes next."""

    process: "subprocess.Popen[bytes]"
    handle: int
    """Readable when the process has ended; it is not waited for by that (pidfd_open(2))."""
    payload: bytes
    has_ended: bool = False
    output: bytearray = field(default_factory=bytearray)
    """The end of what it has said, both streams."""
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def __enter__(self) -> "Conversation":
        self.selector.register(self.handle, selectors.EVENT_READ, self.note_end)
        for stream in (self.stdin, self.stdout):
            os.set_blocking(stream.fileno(), False)
        self.selector.register(self.stdin, selectors.EVENT_WRITE, self.write)
        self.selector.register(self.stdout, selectors.EVENT_READ, self.read)
        return self

    def __exit__(self, *error: object) -> None:
        self.selector.close()
        os.close(self.handle)
        with suppress(BrokenPipeError):
            self.stdin.close()

    @property
    def stdin(self) -> IO[bytes]:
        """The program's standard input."""
        assert self.process.stdin is not None
        return self.process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """The program's standard output and error."""
        assert self.process.stdout is not None
        return self.process.stdout

    @property
    def text(self) -> str:
        """The end of what it has said, for a log."""
        text = bytes(self.output).decode("utf-8", "backslashreplace")
        return printable(" ".join(text.split()))[-OUTPUT_LETTERS:]

    def poll(self, wait_s: float) -> None:
        """Wait for something to happen, and do what is possible."""
        for key, _ in self.selector.select(wait_s):
            key.data()

    def note_end(self) -> None:
        """The process has ended."""
        self.has_ended = True

    def write(self) -> None:
        """Some more of the payload; a program need not read it."""
        try:
            written = os.write(self.stdin.fileno(), self.payload)
        except BrokenPipeError:
            written = len(self.payload)
        self.payload = self.payload[written:]
        if not self.payload:
            self.selector.unregister(self.stdin)
            self.stdin.close()

    def read(self) -> int:
        """Some more of what it says; how much there was."""
        try:
            chunk = os.read(self.stdout.fileno(), 65_536)
        except BlockingIOError:
            return 0
        if not chunk and not self.has_ended:
            self.selector.unregister(self.stdout)
        self.output = (self.output + chunk)[-OUTPUT_BYTES:]
        return len(chunk)

    def read_rest(self) -> None:
        """What it said last. Who left its group may still write: no waiting for its end."""
        left = REST_BYTES
        while left > 0 and (count := self.read()):
            left -= count


def signal_group(process: "subprocess.Popen[bytes]", number: int) -> None:
    """To a process, which has not been waited for yet, and to all that it has started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
