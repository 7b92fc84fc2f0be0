"""Where webhooks may go: addresses are checked after DNS resolution, before a connection.

A name may lead to this machine or its neighbours, by mistake or by an attack, and to another
address a moment later. So the address that was checked is the one that is connected to.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from urllib.parse import unquote, urlsplit

PATH_PARTS = re.compile("[/?&=;]")
SECRET_LETTERS = 6  # shorter parts would be words of an answer
PORTS = {"https": 443, "http": 80}
Ip = IPv4Address | IPv6Address
#: As `socket.getaddrinfo`: host, port, then keywords. Any: the answer depends on the family; the
#: address comes first in its last part.
Resolve = Callable[..., Sequence[Any]]
#: Metadata servers of clouds: not in private networks, but they give a machine its passwords.
METADATA_SERVERS = tuple(
    map(
        ipaddress.ip_address,
        (
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure
            "192.0.0.192",  # Oracle
            "fd00:ec2::254",  # AWS
            "fd20:ce::254",  # Google
        ),
    )
)
#: IPv6 networks that hold IPv4 addresses: mapped ones, and NAT64.
EMBEDDING_NETWORKS = tuple(map(ipaddress.IPv6Network, ("::ffff:0:0/96", "64:ff9b::/96")))
TUNNEL = ipaddress.IPv6Network(
    "2002::/16"
)  # 6to4: the IPv4 address of the tunnel's end follows the prefix
#: Private networks; Python knows some of them only since recent versions.
PRIVATE_NETWORKS = tuple(
    map(
        ipaddress.ip_network,
        (
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "::1/128",
            "fc00::/7",
        ),
    )
)
FORBIDDEN_NETWORKS = tuple(
    map(
        ipaddress.ip_network,
        ("0.0.0.0/8", "192.0.0.0/24", "2001::/32", "64:ff9b:1::/48", "fec0::/10"),
    )
)


class Forbidden(Exception):
    """A webhook may not go there."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A parsed URL."""

    scheme: str
    host: str
    """A name, or an address without brackets."""
    port: int
    path: str = field(repr=False)
    """With the query; often secret."""

    @property
    def authority(self) -> str:
        """Return the header ``Host``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    def hide(self, text: str) -> str:
        """Return a text without the path and its longer parts: servers repeat what they got."""
        told = {self.path, unquote(self.path)}
        told |= {part for path in told for part in PATH_PARTS.split(path)}
        for secret in sorted(told, key=len, reverse=True):
            if len(secret) >= SECRET_LETTERS:
                text = text.replace(secret, "…")
        return text

    @property
    def literal(self) -> Ip | None:
        """Return the host if it is an IP address; else None."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None


def parse(url: str) -> Destination:
    """Parse a URL; `ValueError` says what is wrong, without showing all of it."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("a URL has only letters of ASCII: names as xn--…, other letters as %XX")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:  # whose words may show a secret
        raise ValueError("is no URL: look at its brackets and its port") from error
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError("write https://host/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a password in a URL ends in logs: use secret or secret_file")
    if parts.fragment:
        raise ValueError("what follows # is never sent: leave it out")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Destination(parts.scheme, parts.hostname, port or PORTS[parts.scheme], path)


def addresses(place: Destination, *, allow_private: bool, resolve: Resolve) -> list[str]:
    """Return the addresses to connect to, as resolved; `Forbidden` if one is not allowed.

    All of them are checked: a name that leads both outside and inside is an attack or a mistake.
    """
    found = resolve(place.host, place.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    unique = list(dict.fromkeys(str(answer[-1][0]) for answer in found))
    for address in unique:
        check(address, place, allow_private=allow_private)
    return unique


def check(text: str, place: Destination, *, allow_private: bool) -> None:
    """Raise `Forbidden`, with the setting that would allow the address, if there is one."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if any(is_forbidden(one) for one in embedded_addresses(address)):
        raise Forbidden(f"{place.host} is {text}: such addresses are never used")
    is_inside = any(is_private(one) for one in embedded_addresses(address))
    if is_inside and not allow_private:
        raise Forbidden(f"{place.host} is the private address {text}: set allow_private: true")
    if not is_inside and place.scheme == "http":
        raise Forbidden(f"{place.host} is {text}, which is not private: only https goes there")


def embedded_addresses(address: Ip) -> list[Ip]:
    """Return every address that this one leads to: IPv6 may embed IPv4."""
    if any(address in network for network in EMBEDDING_NETWORKS):
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    if address in TUNNEL:
        return [address, IPv4Address(int(address) >> 80 & 0xFFFFFFFF)]
    return [address]


def is_private(address: Ip) -> bool:
    """Whether the address is of this machine or its neighbours."""
    return any(
        address in network for network in PRIVATE_NETWORKS if network.version == address.version
    )


def is_forbidden(address: Ip) -> bool:
    """Whether no webhook may ever go to this address."""
    if is_private(address):
        return address in METADATA_SERVERS
    return (
        address in METADATA_SERVERS
        or address.is_multicast
        or address.is_unspecified
        or address.is_link_local
        or address.is_reserved
        or not address.is_global
        or any(
            address in network
            for network in FORBIDDEN_NETWORKS
            if network.version == address.version
        )
    )
