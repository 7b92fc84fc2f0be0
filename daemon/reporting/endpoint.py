"""A few HTTP pages for monitors on this machine; no request changes anything."""

import errno
import logging
import os
import socket
import socketserver
import stat
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from daemon import __version__
from daemon.config.addresses import Address, Loopback, SocketFile
from daemon.errors import InstallError

logger = logging.getLogger(__name__)

#: A connection without a request is closed after this.
REQUEST_TIMEOUT_S = 10.0
MAX_REQUESTS = 8
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


class Server(socketserver.ThreadingTCPServer):
    """A thread for each request, up to a limit: further connections are closed."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 16
    allow_reuse_address = True  # after a crash a port is held for a minute otherwise

    def __init__(self, address: Address, pages: Mapping[str, Page]) -> None:
        """Listens when this returns; `OSError` if it cannot."""
        self.pages = pages
        self.free_slots = threading.BoundedSemaphore(MAX_REQUESTS)
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
        if not self.free_slots.acquire(blocking=False):
            logger.warning("more than %s monitors ask at once: one is turned away", MAX_REQUESTS)
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Request, client_address: ClientAddress) -> None:
        """Answer, and free the slot."""
        try:
            super().process_request_thread(request, client_address)
        finally:
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

    def __init__(self, address: Address, pages: Mapping[str, Page]) -> None:
        """`InstallError` if we cannot listen at the address."""
        try:
            self.server = Server(address, pages)
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
    return f"metrics.listen: {place} cannot be had ({error.strerror or error}): {remedy}"


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
