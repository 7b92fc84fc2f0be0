"""How the cluster is reached: its address, its token, and what Ray reads from the environment."""

import logging
import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOCAL = "local"
#: Under this name a node may leave it out: then it has a worker for each GPU.
RESOURCE = "cvunetd"
#: How long the head may take to accept a connection.
CONNECT_S = 3.0
#: Objects are small: paths, or single pictures.
OBJECTS_BYTES = 200_000_000


@dataclass(frozen=True, slots=True)
class Access:
    """How the cluster is reached."""

    address: str
    """``host:port`` of its head; ``local``: a cluster of one node is started for us."""
    namespace: str = "cvunetd"
    resource: str = RESOURCE
    is_authenticated: bool = True
    token_file: Path | None = None
    """None: where Ray looks for a token by itself."""
    runtime_env: dict[str, Any] | None = None  # Any: passed on to Ray as it is
    carried_bytes: int = 0
    """Pictures up to that size travel through Ray; 0: all lie on a share."""

    @property
    def is_private(self) -> bool:
        """Whether the cluster is started for us, on this machine."""
        return self.address == LOCAL


def set_environment(access: Access) -> None:
    """Set what Ray reads from the environment, before it is loaded."""
    os.environ["RAY_AUTH_MODE"] = "token" if access.is_authenticated else "disabled"
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if access.is_private:  # Ray's only switch for listening on loopback alone
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        # Else it ends our worker as soon as the whole machine is short of memory.
        os.environ["RAY_memory_monitor_refresh_ms"] = "0"  # noqa: SIM112  # Ray has it so
        # Its logs lie in our temporary folder: 20 MB for each process, as in packaging/ray.
        os.environ |= {"RAY_ROTATION_MAX_BYTES": "10000000", "RAY_ROTATION_BACKUP_COUNT": "1"}
    if not access.is_authenticated:
        return
    if access.token_file is not None:
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(access.token_file)
    elif access.is_private:  # of this life alone; else Ray leaves one in the home folder
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def why_unreachable(address: str) -> str:
    """Return why nothing answers at ``host:port``; empty if something does."""
    if address == LOCAL:
        return ""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except OSError as error:
        return f"no cluster answers at {address} ({error.strerror or error}): start Ray's head"
    return ""


def arguments(access: Access, temp_dir: str) -> dict[str, Any]:  # Any: arguments of Ray's
    """Return what `ray.init` gets; ``temp_dir`` is for a cluster of our own."""
    common: dict[str, Any] = {  # Any: as above
        "namespace": access.namespace,
        "runtime_env": access.runtime_env,
        "log_to_driver": False,
        "configure_logging": False,
        "logging_level": logging.ERROR,
    }
    if not access.is_private:
        return common | {"address": access.address}
    return common | {
        "address": "local",
        "resources": {access.resource: 1},
        "include_dashboard": False,
        "object_store_memory": OBJECTS_BYTES,
        "_node_ip_address": "127.0.0.1",
        "_temp_dir": temp_dir,
    }
