"""`cvunetd healthz`: asks the running daemon whether it makes progress; for health checks."""

import http.client
import os
import socket
from http import HTTPStatus
from pathlib import Path

from daemon.config import schema as configuration
from daemon.config.addresses import Address, SocketFile
from daemon.config.folders import resolve_address
from daemon.errors import UsageError, explain
from daemon.reporting.latest_snapshot import Health

#: Health checks of containers give up after 15 s: they should hear the reason before that.
TIMEOUT_S = 8.0
MAX_BYTES = 4096


class SocketConnection(http.client.HTTPConnection):
    """HTTP over a socket file."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self.path = path

    def connect(self) -> None:
        """Connect to the socket file instead of a port."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(os.fspath(self.path))


def ask(config_path: Path | None) -> Health:
    """Return what the daemon says; a daemon that does not answer is not healthy.

    `UsageError` if the configuration has no address to ask at.
    """
    config, base = configuration.load(config_path)
    address = config.metrics.address
    if address is None:
        raise UsageError(
            'metrics.listen is not set, so the daemon cannot be asked: set it to "127.0.0.1:9464"'
            ' or "unix:/run/cvunetd/metrics.sock"'
        )
    return ask_at(resolve_address(base, address))


def ask_at(address: Address) -> Health:
    """Return the answer of one address."""
    if isinstance(address, SocketFile):
        place = os.fspath(address.path)
        connection: http.client.HTTPConnection = SocketConnection(address.path)
    else:
        place = f"{address.host}:{address.port}"
        connection = http.client.HTTPConnection(address.host, address.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        text = answer.read(MAX_BYTES).decode("utf-8", "replace").strip()
    except TimeoutError:
        return Health(False, f"no answer from {place} in {TIMEOUT_S:.0f} s: restart the daemon")
    except (OSError, http.client.HTTPException) as error:
        why = explain(error) if isinstance(error, OSError) else str(error) or "no answer"
        return Health(False, f"no daemon answers at {place} ({why})")
    finally:
        connection.close()
    return Health(answer.status == HTTPStatus.OK, text)
