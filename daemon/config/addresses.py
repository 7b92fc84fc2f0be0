"""Addresses at which the daemon serves monitors: loopback only, or a socket file."""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

SOCKET = "unix:"
TCP = re.compile(r"(?P<host>localhost|[0-9.]+|\[[0-9a-fA-F:.]+\]):(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True)
class Loopback:
    """A port that other machines cannot reach."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class SocketFile:
    """A Unix socket; the file's mode says who may connect."""

    path: Path


Address = Loopback | SocketFile


def parse(text: str) -> Address:
    """Parse an address; `ValueError` says which are allowed."""
    if text.startswith(SOCKET) and text != SOCKET:
        return SocketFile(Path(text.removeprefix(SOCKET)))
    found = TCP.fullmatch(text)
    if found is None or not 0 < int(found["port"]) < 65_536:
        raise ValueError('write "127.0.0.1:9464", "[::1]:9464" or "unix:/run/cvunetd/metrics.sock"')
    # Not looked up: a name server's answer for localhost cannot be trusted.
    host = "127.0.0.1" if found["host"] == "localhost" else found["host"].strip("[]")
    if not ipaddress.ip_address(host).is_loopback:
        raise ValueError(
            f"{host} can be reached from other machines, and this page asks for no password:"
            ' use "127.0.0.1:9464" or "unix:/run/cvunetd/metrics.sock"'
        )
    return Loopback(host, int(found["port"]))
