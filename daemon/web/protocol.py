"""Connections with time limits: uvicorn has none for the head of a request or a slow reader."""

import asyncio
import fcntl
import logging
import socket
import struct
import termios

from uvicorn.protocols.http.h11_impl import H11Protocol

from daemon.web import limits

logger = logging.getLogger(__name__)

LOOK_S = 1.0


class TimedProtocol(H11Protocol):
    """One connection. It is looked at once a second."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let it in; if there are too many, the one that has been silent longest has to go."""
        super().connection_made(transport)
        now = self.loop.time()
        self.heard_at = self.idle_since = self.read_at = now
        self.unread_bytes = 0
        self.look = self.loop.call_later(LOOK_S, self.look_at)
        if len(self.connections) > limits.MAX_CONNECTIONS:
            self.make_room()

    def make_room(self) -> None:
        """Hang up on the one that has been silent longest; those that are answered come last."""
        others = [one for one in self.connections if isinstance(one, TimedProtocol)]
        victim = min(others, key=lambda one: (one.is_answered, one.heard_at))
        logger.warning("more than %s connections: one is closed", limits.MAX_CONNECTIONS)
        victim.transport.abort()

    @property
    def is_idle(self) -> bool:
        """Whether no complete head of a request has come, and all answers are read."""
        return (self.cycle is None or self.cycle.response_complete) and not self.unread()

    @property
    def is_answered(self) -> bool:
        """Whether its request is complete, so that it is we who take the time."""
        return not self.is_idle and (self.cycle is None or not self.cycle.more_body)

    def data_received(self, data: bytes) -> None:
        """Note that it is alive."""
        self.heard_at = self.loop.time()
        super().data_received(data)

    def on_response_complete(self) -> None:
        """Begin the time for the next head."""
        self.idle_since = self.loop.time()
        super().on_response_complete()

    def resume_writing(self) -> None:
        """Note that much was read: the next piece of the answer hides it from `look_at`."""
        self.read_at = self.loop.time()
        super().resume_writing()

    def unread(self) -> int:
        """Return how many bytes the client's machine has not taken yet.

        What the system holds counts, too: of a slow client's answer it may hold megabytes, and it
        asks for more only when a third of them is gone.
        """
        waiting = self.transport.get_write_buffer_size()
        return waiting + queued(self.transport.get_extra_info("socket"))

    def look_at(self) -> None:
        """Hang up if it takes too long."""
        if self.transport.is_closing() and not self.transport.get_write_buffer_size():
            return
        now = self.loop.time()
        unread = self.unread()
        if unread:
            self.idle_since = now
        if not unread or self.unread_bytes - unread >= limits.PAUSE_BYTES:
            self.unread_bytes, self.read_at = unread, now
        elif unread > self.unread_bytes:
            self.unread_bytes = unread
        is_unread = now - self.read_at > limits.PAUSE_S
        is_silent = self.is_idle and now - self.idle_since > limits.HEAD_S
        if is_unread or is_silent:
            logger.debug("a slow connection is closed")
            self.transport.abort()
            return
        self.look = self.loop.call_later(LOOK_S, self.look_at)

    def connection_lost(self, exc: Exception | None) -> None:
        """Look no more."""
        self.look.cancel()
        super().connection_lost(exc)


def queued(connection: socket.socket) -> int:
    """Return how many sent bytes the other side has not confirmed; 0 if it is closed."""
    if connection.fileno() < 0:
        return 0
    answer = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
    return int(struct.unpack("i", answer)[0])
