"""A few HTTP pages for monitors on this machine; no request changes anything."""

import errno
import logging
import os
import socket
import socketserver
import stat
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from daemon import __version__
from daemon.config.addresses import Address, Loopback, SocketFile
from daemon.errors import InstallError, explain

logger = logging.getLogger(__name__)

#: So long a monitor may take in all to ask and to be answered.
REQUEST_TIMEOUT_S = 10.0
#: If more ask at once, the one that has said nothing for longest is hung up on.
MAX_REQUESTS = 8
#: Threads that are hung up on may still be making a page; beyond this many nobody is let in.
MAX_THREADS = 2 * MAX_REQUESTS
#: So long somebody waits for the end of threads that were hung up on: on a busy machine it
#: takes them a while to notice.
ROOM_S = 2.0
SOCKET_MODE = 0o660  # the daemon's group may ask


@dataclass(frozen=True, slots=True)
class Response:
    """A page."""

    status: HTTPStatus
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


Request = socket.socket | tuple[bytes, socket.socket]
ClientAddress = Any  # of the library: a pair for a port, text for a socket file

#: From the client's Accept header to a page.
Page = Callable[[str], Response]
OnTurn = Callable[[float], object]


@dataclass(slots=True)
class Caller:
    """Somebody who is connected."""

    since: float
    """On the monotonic clock."""
    is_heard: bool = False
    """The question has come."""


class Callers:
    """Who is connected; asked by several threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting: dict[Request, Caller] = {}
        """In the order in which they came."""

    def add(self, request: Request, monotonic: float) -> bool:
        """Add a caller; True if another, a silent one first, had to be hung up on for it."""
        with self.lock:
            is_full = len(self.waiting) >= MAX_REQUESTS
            if is_full:
                silent = (one for one, caller in self.waiting.items() if not caller.is_heard)
                self.hang_up(next(silent, next(iter(self.waiting))))
            self.waiting[request] = Caller(monotonic)
            return is_full

    def hear(self, request: Request) -> None:
        """It has asked, and will be through in a moment."""
        with self.lock:
            if request in self.waiting:
                self.waiting[request].is_heard = True

    def remove(self, request: Request) -> None:
        """It is answered, or gone."""
        with self.lock:
            self.waiting.pop(request, None)

    def leave_slow(self, monotonic: float) -> None:
        """Hang up on those that have taken too long, however often they say a little."""
        with self.lock:
            late = [
                one
                for one, caller in self.waiting.items()
                if monotonic - caller.since > REQUEST_TIMEOUT_S
            ]
            for request in late:
                self.hang_up(request)

    def hang_up(self, request: Request) -> None:
        """Its thread wakes and ends."""
        del self.waiting[request]
        assert isinstance(request, socket.socket)
        with suppress(OSError):  # it has hung up itself
            request.shutdown(socket.SHUT_RDWR)


class Server(socketserver.ThreadingTCPServer):
    """A thread for each request, but not for any number, and not for long."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 16
    allow_reuse_address = True  # after a crash a port is held for a minute otherwise

    def __init__(self, address: Address, pages: Mapping[str, Page], on_turn: OnTurn) -> None:
        """Listens when this returns; `OSError` if it cannot."""
        self.pages = pages
        self.on_turn = on_turn
        self.free_slots = threading.BoundedSemaphore(MAX_THREADS)
        self.callers = Callers()
        self.file: Path | None = None
        if isinstance(address, Loopback):
            self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
            super().__init__((address.host, address.port), Handler)
            return
        self.address_family = socket.AF_UNIX
        remove_stale_socket(address.path)
        # The library takes any address of the family; its types know only that of ports.
        super().__init__(os.fspath(address.path), Handler)  # type: ignore[arg-type]
        # Not before: a server that cannot bind closes itself, and then this file belongs to
        # another.
        self.file = address.path
        self.file.chmod(SOCKET_MODE)

    def process_request(self, request: Request, client_address: ClientAddress) -> None:
        """Start to answer, if a slot is free."""
        self.on_turn(time.monotonic())
        if not self.free_slots.acquire(timeout=ROOM_S):
            logger.warning("more than %s monitors ask at once: one is turned away", MAX_REQUESTS)
            self.shutdown_request(request)
            return
        if self.callers.add(request, time.monotonic()):
            logger.warning(
                "more than %s monitors ask at once: a slow one is hung up on", MAX_REQUESTS
            )
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # there is no thread for it: the library hangs up
            self.leave(request)
            raise

    def service_actions(self) -> None:
        """Called by the library several times a second."""
        monotonic = time.monotonic()
        self.on_turn(monotonic)
        self.callers.leave_slow(monotonic)

    def process_request_thread(self, request: Request, client_address: ClientAddress) -> None:
        """Answer, and free the slot."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.leave(request)

    def leave(self, request: Request) -> None:
        """Free the slot of a request that is answered, or never will be."""
        self.callers.remove(request)
        self.free_slots.release()

    def handle_error(self, request: Request, client_address: ClientAddress) -> None:
        """Log a closed connection; it is no error of ours."""
        logger.debug("a monitor was not answered: %s", sys.exception())

    def server_close(self) -> None:
        """Close, and remove the socket file."""
        super().server_close()
        if self.file is not None:
            self.file.unlink(missing_ok=True)


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    server: Server
    timeout = REQUEST_TIMEOUT_S
    server_version = f"cvunetd/{__version__}"
    sys_version = ""

    def do_GET(self) -> None:  # the library's name
        """Send a page."""
        self.server.callers.hear(self.connection)
        answer = self.answer()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_HEAD = do_GET  # noqa: N815  # the library's name

    def answer(self) -> Response:
        """Return the page of a path."""
        page = self.server.pages.get(urlsplit(self.path).path)
        if page is None:
            known = " ".join(self.server.pages)
            return Response(HTTPStatus.NOT_FOUND, f"there are: {known}\n".encode())
        try:
            return page(self.headers.get("Accept", ""))
        except Exception:
            logger.exception("the page %s could not be made", self.path)
            return Response(HTTPStatus.INTERNAL_SERVER_ERROR, b"see the log\n")

    def log_message(self, format: str, *args: object) -> None:  # the library's name
        """Log requests at debug level: monitors send one every few seconds."""
        logger.debug(format, *args)


class Endpoint:
    """The pages at their address, from `start` to `stop`."""

    def __init__(
        self,
        address: Address,
        pages: Mapping[str, Page],
        on_turn: OnTurn = lambda monotonic: None,
    ) -> None:
        """`InstallError` if we cannot listen at the address. ``on_turn`` is called often."""
        try:
            self.server = Server(address, pages, on_turn)
        except OSError as error:
            raise InstallError(bind_error(address, error)) from error
        self.thread = threading.Thread(
            target=self.server.serve_forever, args=(0.2,), name="endpoint", daemon=True
        )

    def start(self) -> None:
        """Start to answer."""
        self.thread.start()

    def stop(self) -> None:
        """Stop answering."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def bind_error(address: Address, error: OSError) -> str:
    """Return what to do if we cannot listen at an address."""
    if isinstance(address, SocketFile):
        place = str(address.path)
        remedy = "make its folder, writable for the daemon (under systemd: RuntimeDirectory=)"
    else:
        place = f"{address.host}:{address.port}"
        remedy = "under systemd see packaging/systemd/metrics.conf"
    if error.errno == errno.EADDRINUSE:
        remedy = "another program listens there: choose another"
    return f"metrics.listen: {place} cannot be had ({explain(error)}): {remedy}"


def remove_stale_socket(path: Path) -> None:
    """Remove the socket of a dead process; anything else is left, and binding fails."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1.0)
            probe.connect(os.fspath(path))
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)
