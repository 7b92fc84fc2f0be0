"""Processes that make small pictures; each serves until it has been idle for a while.

A process takes a third of a second of CPU time to start, a small picture of a result a tenth of
that. So a process that has read a result of ours goes on to the next one. One that has read an
original, which a stranger may have made, or one that has failed, is ended.
"""

import socket
import struct
import subprocess
import sys
import threading
import time
from typing import BinaryIO

#: As `cvunet.pictures.thumbnails` reads and writes them.
REQUEST = struct.Struct(">I?")
LENGTH = struct.Struct(">I")
PROGRAM = (sys.executable, "-m", "cvunet.pictures.thumbnails")
TIMEOUT_S = 20.0
IDLE_S = 30.0
MAX_BYTES = 50_000_000


class Child:
    """One process."""

    def __init__(self) -> None:
        self.channel, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                PROGRAM, stdin=theirs.fileno(), stdout=subprocess.DEVNULL
            )
        self.channel.settimeout(TIMEOUT_S)

    def make(self, stream: BinaryIO, side_px: int, *, is_webp: bool) -> bytes:
        """Return a small picture of an open file; empty if none can be made.

        `OSError` if the process has died, or takes too long.
        """
        request = REQUEST.pack(side_px, is_webp)
        socket.send_fds(self.channel, [request], [stream.fileno()])
        (length,) = LENGTH.unpack(self.receive(LENGTH.size))
        if length > MAX_BYTES:
            raise ConnectionAbortedError("the process answers nonsense")
        return self.receive(length)

    def receive(self, count: int) -> bytes:
        """Return so many bytes."""
        pieces = b""
        while len(pieces) < count:
            piece = self.channel.recv(count - len(pieces))
            if not piece:
                raise ConnectionResetError("the process has ended")
            pieces += piece
        return pieces

    def end(self) -> None:
        """End it, whatever it does now."""
        self.channel.close()
        self.process.kill()
        self.process.wait()


class Children:
    """Those that are idle, for any thread."""

    def __init__(self, *, idle_s: float = IDLE_S) -> None:
        """``idle_s``: so long a process waits for the next picture."""
        self.idle_s = idle_s
        self.idle: list[tuple[Child, float]] = []
        self.lock = threading.Lock()

    def make(self, stream: BinaryIO, side_px: int, *, is_webp: bool, is_ours: bool) -> bytes:
        """Return a small picture of an open file; empty if none can be made.

        ``is_ours``: it is a result, not an original from outside.
        """
        child = self.take()
        made = b""
        try:
            made = child.make(stream, side_px, is_webp=is_webp)
        except OSError:
            pass  # it took too long, or too much memory: there is no small picture of this one
        finally:
            if made and is_ours:
                self.keep(child)
            else:
                child.end()
        return made

    def take(self) -> Child:
        """Return an idle process, or a new one."""
        with self.lock:
            while self.idle:
                child, _ = self.idle.pop()
                if child.process.poll() is None:
                    return child
                child.end()
        return Child()

    def keep(self, child: Child) -> None:
        """Let a process wait for the next picture."""
        with self.lock:
            self.idle.append((child, time.monotonic()))

    def end_idle(self, now: float) -> float | None:
        """End processes that wait for too long; return when the next one is due, None for none."""
        with self.lock:
            old = [child for child, since in self.idle if now - since >= self.idle_s]
            self.idle = [(child, since) for child, since in self.idle if child not in old]
            due = min((since + self.idle_s for _, since in self.idle), default=None)
        for child in old:
            child.end()
        return due

    def close(self) -> None:
        """End all; nothing is made any more."""
        with self.lock:
            waiting, self.idle = self.idle, []
        for child, _ in waiting:
            child.end()
