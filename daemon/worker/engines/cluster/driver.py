"""Starts the process that speaks to Ray, and carries messages to and from it."""

import errno
import logging
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import daemon
from daemon.worker.engines.cluster import temporary_folders
from daemon.worker.engines.cluster.access import Access
from daemon.worker.engines.cluster.messages import Command, Event, Lost
from daemon.worker.engines.cluster.temporary_folders import TemporaryFolder

logger = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "daemon.worker.engines.ray")
#: The name of a folder for Ray begins so. Earlier versions have no lock on theirs, `cvunetd-ray-…`.
PLACE = "cvunetd-ray."
#: How long it may take to shut Ray down.
CLOSE_S = 10.0
#: So much of what Ray writes is kept, to explain why it cannot be joined.
TOLD_LINES = 20
#: What Ray writes if the token is another one; all that it raises is that nothing answers.
REFUSED = "InvalidAuthToken"
#: Meant for us alone.
PRIVATE = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID")

OnEvent = Callable[["Driver", Event], object]


class Driver(Protocol):
    """The way to a cluster. What comes from there goes to the engine's mailbox."""

    def send(self, command: Command) -> None:
        """Pass a command on; nothing happens if the cluster is away."""

    def close(self) -> None:
        """End the connection. No event comes after that."""


class RayProcess:
    """A driver in a process of its own."""

    def __init__(self, access: Access, on_event: OnEvent) -> None:
        """``on_event`` is called in a thread of ours; its last event is `Lost`."""
        self.access = access
        self.on_event = on_event
        self.told: deque[str] = deque(maxlen=TOLD_LINES)
        self.is_closed = False
        # Short: Ray puts sockets far below it, and their paths have at most 107 bytes.
        parent = Path(tempfile.gettempdir())
        temporary_folders.sweep(parent, PLACE)
        self.place = TemporaryFolder(parent, PLACE)
        try:
            self.process, ours = start(self.place)
        except OSError:
            self.place.close()
            raise
        self.connection: Connection[Any, Any] = Connection(ours.detach())  # Any: pickled messages
        self.sending = threading.Lock()
        self.threads = [
            threading.Thread(None, self.receive, "cluster-events"),
            threading.Thread(None, self.listen, "cluster-chatter"),
        ]
        try:
            for thread in self.threads:
                thread.start()
        except RuntimeError as error:  # as the same lack of room is told of a thread
            self.close()
            raise OSError(errno.EAGAIN, str(error)) from error
        self.pass_on(access)

    def send(self, command: Command) -> None:
        """Pass a command on."""
        self.pass_on(command)

    def pass_on(self, message: object) -> None:
        """Send a message; the thread that receives notices if nobody is there."""
        with self.sending, suppress(OSError, ValueError):
            self.connection.send(message)

    def receive(self) -> None:
        """Pass events on until the process ends, then say so."""
        while True:
            try:
                event: Event = self.connection.recv()
            except (EOFError, OSError):
                break
            if not self.is_closed:
                self.on_event(self, self.explained(event))
        if not self.is_closed:
            what = "its head, or Ray's node on this machine, is gone"
            reason = f"the connection to the cluster at {self.access.address} has ended: {what}"
            self.on_event(self, Lost(reason))

    def explained(self, event: Event) -> Event:
        """Return an event with the reason that Ray only writes to standard error."""
        if isinstance(event, Lost) and any(REFUSED in line for line in self.told):
            where = self.access.token_file or "~/.ray/auth_token"
            text = f"the cluster at {self.access.address} refuses our token ({where})"
            return Lost(f"{text}: copy the head's token there, or set worker.ray.token_file", True)
        return event

    def listen(self) -> None:
        """Keep Ray's chatter out of the daemon's log."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            text = line.decode("utf-8", "replace").rstrip()
            self.told.append(text)
            logger.debug("ray: %s", text)

    def close(self) -> None:
        """End the process, with what it has started if the cluster is its own."""
        self.is_closed = True
        # Wakes the thread that receives, which close alone does not.
        with suppress(OSError), socket.socket(fileno=os.dup(self.connection.fileno())) as end:
            end.shutdown(socket.SHUT_RDWR)
        try:
            self.process.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for thread in self.threads:
            if thread.ident is not None:
                thread.join(CLOSE_S)
        self.connection.close()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.place.close()


def start(place: TemporaryFolder) -> tuple["subprocess.Popen[bytes]", socket.socket]:
    """Start the process, with a folder for Ray; return our end of its socket, too."""
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = subprocess.Popen(
                [*COMMAND, str(theirs.fileno()), str(place.path)],
                pass_fds=[theirs.fileno(), place.lock],  # it may live longer than we do
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is meant for the daemon
                env=environment(),
            )
        except OSError:
            ours.close()
            raise
    return process, ours


def environment() -> dict[str, str]:
    """Return ours, in which the process finds this very program, and nothing that is private."""
    found = {name: value for name, value in os.environ.items() if name not in PRIVATE}
    root = str(Path(daemon.__file__).parents[1])
    found["PYTHONPATH"] = os.pathsep.join(filter(None, (root, found.get("PYTHONPATH"))))
    return found
