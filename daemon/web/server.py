"""The server in a thread: it listens when `start` returns, and is gone when `stop` returns."""

import asyncio
import errno
import logging
import os
import socket
import threading

import uvicorn

from daemon.config.addresses import Address, SocketFile
from daemon.disk import lock, uploads
from daemon.disk.lock import Lock
from daemon.errors import InstallError, explain
from daemon.reporting.endpoint import remove_stale_socket
from daemon.web import limits
from daemon.web.access import Access
from daemon.web.app import application
from daemon.web.protocol import TimedProtocol
from daemon.web.site import Site

logger = logging.getLogger(__name__)

BACKLOG = 128
ANNOUNCE_S = 0.2
SOCKET_MODE = 0o660  # a proxy in the daemon's group may ask


class WebServer:
    """The page and the API at one address."""

    def __init__(self, site: Site, access: Access, address: Address) -> None:
        """`InstallError` if the address cannot be had or its folder is served already."""
        self.site = site
        self.address = address
        self.root_lock = Lock(site.root / uploads.INCOMING / lock.FILE)
        lock.take_all([(self.root_lock, f"the folder of uploads {site.root}")])
        uploads.discard_incoming(site.root)
        try:
            self.socket = listening(address)
        except OSError as error:
            self.root_lock.release()
            raise InstallError(bind_error(address, error)) from error
        for name in ("uvicorn.error", "uvicorn.access"):  # the gate says it all, without names
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self.server = uvicorn.Server(
            uvicorn.Config(
                application(site, access),
                http=TimedProtocol,
                ws="none",
                lifespan="off",
                loop="asyncio",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=BACKLOG,
                timeout_keep_alive=limits.KEEP_ALIVE_S,
                timeout_graceful_shutdown=limits.SHUTDOWN_S,
                h11_max_incomplete_event_size=limits.HEAD_BYTES,
            )
        )
        self.thread = threading.Thread(target=self.run, name="web", daemon=True)

    def start(self) -> None:
        """Start to answer."""
        self.thread.start()

    @property
    def url(self) -> str:
        """Return what a person opens."""
        if isinstance(self.address, SocketFile):
            return f"unix:{self.address.path}"
        host, port = self.socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def run(self) -> None:
        """Answer until told to stop; in this thread."""
        try:
            asyncio.run(self.serve())
        except Exception:
            logger.exception("the page and the API are down; pictures go on")
        finally:
            self.site.close()

    async def serve(self) -> None:
        """Answer, and say where once the daemon is ready: that line is what a person looks for."""
        announcement = asyncio.create_task(self.announce())
        try:
            await self.server.serve(sockets=[self.socket])
        finally:
            announcement.cancel()

    async def announce(self) -> None:
        """Wait until the model is warm; without a daemon nothing is waited for."""
        while self.site.source.state() == "loading":
            await asyncio.sleep(ANNOUNCE_S)
        logger.info("open %s", self.url)

    def stop(self) -> None:
        """Stop answering; uploads that are not complete are dropped."""
        self.site.is_stopping = True
        self.server.should_exit = True
        if self.thread.ident is not None:
            self.thread.join()
        self.socket.close()
        if isinstance(self.address, SocketFile):
            self.address.path.unlink(missing_ok=True)
        self.root_lock.release()


def listening(address: Address) -> socket.socket:
    """Return a socket that listens; `OSError` if it cannot."""
    if isinstance(address, SocketFile):
        remove_stale_socket(address.path)
        server = socket.socket(socket.AF_UNIX)
        place: object = os.fspath(address.path)
    else:
        server = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place = (address.host, address.port)
    try:
        server.bind(place)  # type: ignore[arg-type]  # of two families
        server.listen(BACKLOG)
    except OSError:
        server.close()
        raise
    server.setblocking(False)
    if isinstance(address, SocketFile):
        address.path.chmod(SOCKET_MODE)
    return server


def bind_error(address: Address, error: OSError) -> str:
    """Return what to do if we cannot listen at an address."""
    if isinstance(address, SocketFile):
        place, remedy = str(address.path), "make its folder, writable for this user"
    else:
        place = f"{address.host}:{address.port}"
        remedy = "choose another address, or set web.listen: null to do without the page"
    if error.errno == errno.EADDRINUSE:
        remedy = "another program listens there: end it, or choose another port"
    return f"web.listen: {place} cannot be had ({explain(error)}): {remedy}"
