"""Fetches a picture from a URL that a client names: only from public addresses, and not for long.

What was checked is what is connected to: see `daemon.config.destinations`.
"""

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

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
        self.sock = socket.create_connection((self.address, self.port), timeout=CONNECT_S)
        self.sock = self.tls.wrap_socket(self.sock, server_hostname=self.host)


def fetch(
    url: str,
    limit_bytes: int,
    *,
    code: str = CODE,
    resolve: Resolve = socket.getaddrinfo,
    connect: Connect = CheckedConnection,
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
    with closing(connect(place, address)) as connection, Alarm(connection) as alarm:
        try:
            yield from body_of(connection, place, limit_bytes, alarm=alarm, code=code)
        except (OSError, http.client.HTTPException) as error:
            alarm.check(code)
            reason = explain(error) if isinstance(error, OSError) else "it does not speak HTTP"
            raise bad_request(code, f"the URL cannot be fetched: {reason}") from error


class Alarm:
    """Hangs up when the time is over: a server may send a byte now and then, for hours."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self.connection = connection
        self.sock: socket.socket | None = None
        """That of the answer, which the connection may have let go of."""
        self.is_late = False
        self.timer = threading.Timer(TOTAL_S, self.ring)
        self.timer.daemon = True

    def __enter__(self) -> "Alarm":
        self.timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.timer.cancel()

    def ring(self) -> None:
        """In the timer's thread: make the reader's wait fail."""
        self.is_late = True
        sock = self.sock or self.connection.sock
        if sock is not None:
            with suppress(OSError):  # not SSLSocket's own: the reader still uses its state
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def check(self, code: str) -> None:
        """Raise the `Problem` of a URL that takes too long, if this one does."""
        if self.is_late:
            raise bad_request(code, f"the URL takes longer than {TOTAL_S:g} s")


def body_of(
    connection: http.client.HTTPConnection,
    place: Destination,
    limit_bytes: int,
    *,
    alarm: Alarm,
    code: str,
) -> Iterator[bytes]:
    """Yield the body of an answer; redirects are not followed."""
    headers = {"Host": place.authority, "User-Agent": "cvunetd", "Accept": "image/*"}
    connection.request("GET", place.path, headers=headers)
    alarm.sock = connection.sock
    answer = connection.getresponse()
    if answer.status != http.client.OK:
        raise bad_request(code, f"the URL answers {answer.status}; redirects are not followed")
    announced, count = answer.length, 0
    while chunk := answer.read1(limits.CHUNK_BYTES):
        count += len(chunk)
        if count > limit_bytes:
            raise too_large(limit_bytes)
        alarm.check(code)
        yield chunk
    alarm.check(code)
    if announced is not None and count < announced:
        raise bad_request(code, "the URL's answer was cut off")


def refused(name: str) -> Problem:
    """Return the refusal of a URL, in the parameter ``name``, where fetching is off."""
    text = "URLs are not fetched here (web.fetch_urls): send the picture itself"
    return bad_request(f"invalid_{name}", text)
