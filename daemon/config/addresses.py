"""Addresses at which the daemon listens: for monitors loopback only, or a socket file."""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

SOCKET = "unix:"
TCP = re.compile(r"(?P<host>localhost|[0-9.]+|\[[0-9a-fA-F:.]+\]):(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True)
class Loopback:
    """A port; other machines cannot reach it, unless it comes from `parse_any`."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return ipaddress.ip_address(self.host).is_loopback


@dataclass(frozen=True, slots=True)
class SocketFile:
    """A Unix socket; the file's mode says who may connect."""

    path: Path


Address = Loopback | SocketFile


def collide(one: Address | None, other: Address | None) -> bool:
    """Whether nobody can listen at both: the same, or all addresses of a port and one of them."""
    if not isinstance(one, Loopback) or not isinstance(other, Loopback):
        return one is not None and one == other
    hosts = {ipaddress.ip_address(one.host), ipaddress.ip_address(other.host)}
    is_same = len(hosts) == 1 or any(host.is_unspecified for host in hosts)
    return one.port == other.port and is_same and len({host.version for host in hosts}) == 1


def parse(text: str) -> Address:
    """Parse an address of this machine alone; `ValueError` says which are allowed."""
    address = parse_any(text, example="127.0.0.1:9464")
    if isinstance(address, Loopback) and not address.is_loopback:
        raise ValueError(
            f"{address.host} can be reached from other machines, and this page asks for no"
            ' password: use "127.0.0.1:9464" or "unix:/run/cvunetd/metrics.sock"'
        )
    return address


def parse_any(text: str, *, example: str = "127.0.0.1:8080") -> Address:
    """Parse any address; `ValueError` says what one looks like."""
    if text.startswith(SOCKET) and text != SOCKET:
        return SocketFile(Path(text.removeprefix(SOCKET)))
    found = TCP.fullmatch(text)
    port = example.rpartition(":")[2]
    if found is None or not 0 < int(found["port"]) < 65_536:
        raise ValueError(f'write "{example}", "[::1]:{port}" or "unix:/run/cvunetd/NAME.sock"')
    # Not looked up: a name server's answer for localhost cannot be trusted.
    host = "127.0.0.1" if found["host"] == "localhost" else found["host"].strip("[]")
    ipaddress.ip_address(host)
    return Loopback(host, int(found["port"]))
