"""Hooks that are programs: started for each notice, no shell, JSON on stdin, a time limit."""

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
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
#: After a time-out or a signal, the cause may be this notice or the machine: so few attempts.
MAX_ATTEMPTS = 3
GRACE_S = 2.0  # from SIGTERM to SIGKILL
POLL_S = 0.2  # how soon a stop of the daemon is noticed
OUTPUT_BYTES = 4096
REST_BYTES = 1024 * 1024  # read at most, of what is in the pipe after the end of the program
OUTPUT_LETTERS = 300  # letters of the output that are logged


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
        self.unended: list[subprocess.Popen[bytes]] = []
        """Programs that could not be ended; they are asked for their status until they have one."""

    def send(self, notice: Notice) -> Reply:
        """Run the program to its end; all of its process group ends with it."""
        self.unended = [one for one in self.unended if one.poll() is None]
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
        with ExitStack() as stack:
            for stream in filter(None, (process.stdin, process.stdout)):
                stack.enter_context(stream)
            try:
                handle = os.pidfd_open(process.pid)
            except OSError as error:  # no more files may be open
                self.end(process)
                return TemporaryFailure(
                    f"{printable(self.argv[0])} cannot be followed: {describe(error)}"
                )
            payload = notice.payload.encode("utf-8", "backslashreplace")
            with Conversation(process, handle, payload) as conversation:
                is_ended = self.wait_until_end(conversation)
                status = self.end(process)
                conversation.read_rest()
        return self.reply_for(status, is_ended=is_ended, output=conversation.text)

    def wait_until_end(self, conversation: "Conversation") -> bool:
        """Exchange data until the program ends; False if it had to be ended."""
        deadline = self.monotonic() + self.timeout_s
        while not conversation.has_ended:
            left_s = deadline - self.monotonic()
            if left_s <= 0 or self.stopping.is_set():
                self.terminate(conversation)
                return False
            conversation.poll(min(left_s, POLL_S))
        return True

    def end(self, process: "subprocess.Popen[bytes]") -> int | None:
        """End a program and what it started; return its status, None if it goes on."""
        # Before `wait`: until then no other process can get this number.
        signal_group(process, signal.SIGKILL)
        try:
            return process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self.unended.append(process)
            return None

    def terminate(self, conversation: "Conversation") -> None:
        """Ask the program to end, and wait for it for a moment."""
        signal_group(conversation.process, signal.SIGTERM)
        deadline = self.monotonic() + GRACE_S
        while not conversation.has_ended and (left_s := deadline - self.monotonic()) > 0:
            conversation.poll(left_s)

    def reply_for(self, status: int | None, *, is_ended: bool, output: str) -> Reply:
        """Return what the exit status means."""
        text = f": {output}" if output else ""
        if not is_ended and self.stopping.is_set():
            return Interrupted()
        if status is None:
            why = "cannot be ended, perhaps because it runs as another user"
            reason = f"not through after {self.timeout_s:g} s and {why}{text}"
            return TemporaryFailure(reason, max_attempts=MAX_ATTEMPTS)
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
        """Do nothing: nothing is held open."""

    def abort(self) -> None:
        """End the program: the daemon stops."""
        self.stopping.set()


@dataclass(slots=True)
class Conversation:
    """The pipes of a running program and its end, handled in the order in which they get ready."""

    process: "subprocess.Popen[bytes]"
    handle: int
    """A pidfd: readable when the process has ended, without waiting for it (pidfd_open(2))."""
    payload: bytes
    has_ended: bool = False
    output: bytearray = field(default_factory=bytearray)
    """The end of its output, both streams."""
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
        """The end of the output, for a log."""
        text = bytes(self.output).decode("utf-8", "backslashreplace")
        return printable(" ".join(text.split()))[-OUTPUT_LETTERS:]

    def poll(self, wait_s: float) -> None:
        """Wait until a pipe is ready or the process has ended, then read, write or note it."""
        for key, _ in self.selector.select(wait_s):
            key.data()

    def note_end(self) -> None:
        """Note that the process has ended."""
        self.has_ended = True

    def write(self) -> None:
        """Write some more of the payload; a program need not read it."""
        try:
            written = os.write(self.stdin.fileno(), self.payload)
        except BrokenPipeError:
            written = len(self.payload)
        self.payload = self.payload[written:]
        if not self.payload:
            self.selector.unregister(self.stdin)
            self.stdin.close()

    def read(self) -> int:
        """Read some more of the output; return how many bytes."""
        try:
            chunk = os.read(self.stdout.fileno(), 65_536)
        except BlockingIOError:
            return 0
        # A program may close its output and live on; then this is asked once more at its end.
        if not chunk and self.stdout in self.selector.get_map():
            self.selector.unregister(self.stdout)
        self.output = (self.output + chunk)[-OUTPUT_BYTES:]
        return len(chunk)

    def read_rest(self) -> None:
        """Read the last output.

        A process that left the group may still write: do not wait for it.
        """
        left = REST_BYTES
        while left > 0 and (count := self.read()):
            left -= count


def signal_group(process: "subprocess.Popen[bytes]", number: int) -> None:
    """Send a signal to a process that was not waited for yet, and to all that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
