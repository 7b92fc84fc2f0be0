"""Fetches a picture from a URL that a client names: only from public addresses, and not for long.

What was checked is what is connected to: see `daemon.config.destinations`.
"""

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing

from daemon.config import destinations
from daemon.config.destinations import Destination, Forbidden, Resolve
from daemon.errors import explain
from daemon.web import limits
from daemon.web.problems import Problem, bad_request, too_large

CONNECT_S = 10.0
TOTAL_S = 30.0
URL_LETTERS = 2000
#: What refusals are called where nobody gives another name.
CODE = "invalid_image_url"
#: Opens a connection to an address that was checked.
Connect = Callable[[Destination, str], http.client.HTTPConnection]


class CheckedConnection(http.client.HTTPSConnection):
    """HTTPS to a literal address; the certificate has to be for the name."""

    def __init__(self, place: Destination, address: str) -> None:
        self.tls = ssl.create_default_context()
        super().__init__(place.host, place.port, timeout=CONNECT_S, context=self.tls)
        self.address = address

    def connect(self) -> None:
        """Connect to the address instead of resolving the name again."""
        plain = socket.create_connection((self.address, self.port), timeout=CONNECT_S)
        self.sock = self.tls.wrap_socket(plain, server_hostname=self.host)


def fetch(
    url: str,
    limit_bytes: int,
    *,
    code: str = CODE,
    resolve: Resolve = socket.getaddrinfo,
    connect: Connect = CheckedConnection,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[bytes]:
    """Yield the body of a URL; `Problem` with ``code`` for anything but a picture's bytes."""
    if len(url) > URL_LETTERS:
        raise bad_request(code, f"a URL has at most {URL_LETTERS} letters")
    try:
        place = destinations.parse(url)
        address = destinations.addresses(place, allow_private=False, resolve=resolve)[0]
    except ValueError as error:
        raise bad_request(code, f"the URL {error}") from error
    except Forbidden as error:
        raise bad_request(code, "the URL does not lead to a public https address") from error
    except (OSError, IndexError, UnicodeError) as error:
        raise bad_request(code, "the URL's host is not known") from error
    deadline = clock() + TOTAL_S
    try:
        with closing(connect(place, address)) as connection:
            late = lambda: clock() > deadline  # noqa: E731  # one line
            yield from body_of(connection, place, limit_bytes, late=late, code=code)
    except (OSError, http.client.HTTPException) as error:
        reason = explain(error) if isinstance(error, OSError) else "it does not speak HTTP"
        raise bad_request(code, f"the URL cannot be fetched: {reason}") from error


def body_of(
    connection: http.client.HTTPConnection,
    place: Destination,
    limit_bytes: int,
    *,
    late: Callable[[], bool],
    code: str,
) -> Iterator[bytes]:
    """Yield the body of an answer; redirects are not followed."""
    headers = {"Host": place.authority, "User-Agent": "cvunetd", "Accept": "image/*"}
    connection.request("GET", place.path, headers=headers)
    answer = connection.getresponse()
    if answer.status != http.client.OK:
        raise bad_request(code, f"the URL answers {answer.status}; redirects are not followed")
    count = 0
    while chunk := answer.read1(limits.CHUNK_BYTES):
        count += len(chunk)
        if count > limit_bytes:
            raise too_large(limit_bytes)
        if late():
            raise bad_request(code, f"the URL takes longer than {TOTAL_S:g} s")
        yield chunk


def refused(name: str) -> Problem:
    """Return the refusal of a URL, in the parameter ``name``, where fetching is off."""
    text = "URLs are not fetched here (web.fetch_urls): send the picture itself"
    return bad_request(f"invalid_{name}", text)
