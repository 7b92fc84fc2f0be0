"""Clients that read slowly keep their answer, those that read nothing lose it.

The connections are real; the time is the test's own, so a busy machine changes nothing.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from daemon.web import limits
from daemon.web.gate import Receive, Scope, Send
from daemon.web.protocol import TimedProtocol

pytestmark = pytest.mark.web
#: Of the system, in the server: a third of it, which it empties before it takes more, is read in
#: 30 s.
SEND_BUFFER_BYTES = 400_000
RECEIVE_BUFFER_BYTES = 16_384
SLOW_BYTES = 5000
"""So much a slow client reads in a second."""
Client = socket.socket


class Loop(asyncio.SelectorEventLoop):
    """Its time passes when a test says so."""

    passed_s = 0.0

    def time(self) -> float:
        """Return the test's time."""
        return self.passed_s

    async def spend(self, seconds: int = 1) -> None:
        """Let time pass, and do what is due."""
        for _ in range(seconds):
            self.passed_s += 1.0
            for _ in range(10):
                await asyncio.sleep(0)

    async def spend_until(self, what: Callable[[], object]) -> bool:
        """Let time pass until something is so; False if it never is.

        Long, because the system confirms bytes in a time of its own.
        """
        for _ in range(50_000):
            if what():
                return True
            await self.spend()
        return False


class Server:
    """A server whose only answer is so long."""

    def __init__(self, length: int, piece: int) -> None:
        self.length = length
        self.piece = piece
        self.is_complete = False
        self.state = ServerState()
        config = uvicorn.Config(
            self.answer,
            http=TimedProtocol,
            ws="none",
            interface="asgi3",
            proxy_headers=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_keep_alive=limits.KEEP_ALIVE_S,
        )
        config.load()
        self.protocol: Callable[[], Any] = lambda: TimedProtocol(config, self.state, {})

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all, in pieces."""
        headers = [(b"content-length", str(self.length).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        left = self.length
        while left:
            count = min(left, self.piece)
            left -= count
            kind = "http.response.body"
            await send({"type": kind, "body": bytes(count), "more_body": left > 0})
        self.is_complete = True


def exchange(
    server: Server, client: Callable[[Loop, Client], Awaitable[int]], path: Path | None = None
) -> int:
    """Let a client ask over TCP, or over a socket in a folder; return what it returns."""
    loop = Loop()

    async def meet() -> int:
        family = socket.AF_INET if path is None else socket.AF_UNIX
        place = ("127.0.0.1", 0) if path is None else str(path)
        with socket.socket(family) as listening, socket.socket(family) as connection:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            listening.bind(place)
            listening.setblocking(False)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            connection.setblocking(False)
            serving = await loop.create_server(server.protocol, sock=listening)
            await loop.sock_connect(connection, listening.getsockname())
            await loop.sock_sendall(connection, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            result = await client(loop, connection)
            serving.close()
        for one in set(server.state.connections):
            one.transport.abort()
        await loop.spend()
        return result

    try:
        return loop.run_until_complete(meet())
    finally:
        loop.close()


async def read(loop: Loop, client: Client, count: int) -> int:
    """Read so many bytes; less if the server hangs up."""
    got = 0
    while got < count:
        try:
            piece = await loop.sock_recv(client, count - got)
        except ConnectionResetError:
            break
        if not piece:
            break
        got += len(piece)
    return got


async def head_of(loop: Loop, client: Client) -> int:
    """Read the head of an answer."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += await loop.sock_recv(client, 1)
    return len(head)


async def read_slowly(server: Server, loop: Loop, client: Client, *, is_sent: bool) -> int:
    """Read for two minutes, then the rest; ``is_sent``: whether all was sent by then."""
    await head_of(loop, client)
    got = 0
    for _ in range(120):
        got += await read(loop, client, SLOW_BYTES)
        await loop.spend()
    assert (got, server.is_complete) == (120 * SLOW_BYTES, is_sent)
    return got + await read(loop, client, server.length - got)


@pytest.mark.parametrize("is_tcp", [True, False])
def test_a_slow_reader_keeps_its_answer(tmp_path: Path, *, is_tcp: bool):
    """It reads all the time, but the system asks for more only every half minute."""
    server = Server(2_000_000, limits.CHUNK_BYTES)

    slowly = partial(read_slowly, server, is_sent=False)
    assert exchange(server, slowly, None if is_tcp else tmp_path / "s") == server.length


def test_a_slow_reader_gets_the_end_of_its_answer():
    """All is sent, but not all is read when the time for the next request ends."""
    server = Server(1_500_000, 1_500_000)

    slowly = partial(read_slowly, server, is_sent=True)
    assert exchange(server, slowly) == server.length


@pytest.mark.parametrize("piece", [limits.CHUNK_BYTES, 1_500_000], ids=("sending", "sent"))
def test_who_reads_nothing_is_hung_up_on(piece: int):
    """Whether or not all is sent; and it may read on within the time that it has."""
    server = Server(1_500_000, piece)

    async def stop(loop: Loop, client: Client) -> int:
        await head_of(loop, client)
        await loop.spend(int(limits.PAUSE_S) - 1)
        got = await read(loop, client, 200_000)
        assert len(server.state.connections) == 1
        assert await loop.spend_until(lambda: not server.state.connections)
        return got

    assert exchange(server, stop) == 200_000


def test_who_is_silent_after_an_answer_is_hung_up_on():
    """When all is read."""
    server = Server(100_000, 100_000)

    async def rest(loop: Loop, client: Client) -> int:
        await head_of(loop, client)
        got = await read(loop, client, server.length)
        assert await loop.spend_until(lambda: not server.state.connections)
        return got

    assert exchange(server, rest) == server.length
