"""Notices posted by HTTPS: the only importer of urllib3."""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from urllib3 import BaseHTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from daemon import __version__
from daemon.config import destinations
from daemon.config.destinations import Forbidden, Resolve
from daemon.errors import describe, printable
from daemon.hooks.signature import sign
from daemon.notices import (
    Accepted,
    Hook,
    Interrupted,
    Notice,
    PermanentFailure,
    Reply,
    TemporaryFailure,
    Webhook,
)

#: Answers that blame the sender (4xx), but mean that a later attempt may succeed.
TEMPORARY_STATUSES = frozenset({408, 425, 429})
ANSWER_BYTES = 1024
ANSWER_LETTERS = 200  # letters of an answer that are logged
SHORTEST_S = 1.0  # the shortest time-out for one of several addresses
#: All connection errors; ValueError comes from a socket that `abort` has closed.
CONNECTION_ERRORS = (HTTPError, http.client.HTTPException, OSError, ValueError)


class WebhookSender:
    """Posts to the URL of one hook. Keeps one connection while notices follow each other."""

    def __init__(
        self,
        hook: Hook,
        webhook: Webhook,
        *,
        resolve: Resolve = socket.getaddrinfo,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``resolve`` looks up addresses."""
        self.destination = destinations.parse(webhook.url)
        self.webhook = webhook
        self.timeout_s = hook.timeout_s
        self.resolve = resolve
        self.now = now
        self.tls: ssl.SSLContext | None = None
        self.connection: HTTPConnection | None = None
        self.is_late = False
        self.is_stopping = False
        self.is_reading = False  # the request has been sent

    def send(self, notice: Notice) -> Reply:
        """Post, and return what the answer means. Follows no redirects, uses no proxies."""
        self.is_late = False
        alarm = threading.Timer(self.timeout_s, self.interrupt)
        alarm.daemon = True
        alarm.start()
        try:
            return self.attempt(notice)
        except Forbidden as error:
            return TemporaryFailure(str(error))
        except CONNECTION_ERRORS as error:
            self.release()
            return Interrupted() if self.is_stopping else TemporaryFailure(self.explain(error))
        finally:
            alarm.cancel()

    def explain(self, error: Exception) -> str:
        """Return why there is no answer."""
        if self.is_late or isinstance(error, TimeoutError):
            return f"{self.destination.host}: no answer after {self.timeout_s:g} s"
        return f"{self.destination.host}: {self.destination.hide(describe(error))}"

    def attempt(self, notice: Notice) -> Reply:
        """Use the open connection, or a new one if the server has closed it."""
        if self.connection is not None and self.connection.is_connected:
            try:
                return self.exchange(self.connection, notice)
            except CONNECTION_ERRORS:
                if self.must_stop():
                    raise
        self.release()
        self.connection = self.connect()
        return self.exchange(self.connection, notice)

    def connect(self) -> HTTPConnection:
        """Connect to one of the addresses that were checked, and to no other."""
        found = destinations.addresses(
            self.destination, allow_private=self.webhook.allow_private, resolve=self.resolve
        )
        wait_s = max(self.timeout_s / max(len(found), 1), SHORTEST_S)
        last_error: Exception = OSError(f"no address of {self.destination.host}")
        for address in found:
            if self.must_stop():  # nothing can interrupt a DNS lookup or a TLS handshake
                raise TimeoutError
            connection = self.prepare(address, min(wait_s, self.timeout_s))
            self.connection = connection  # so that `abort` finds it
            try:
                connection.connect()
            except CONNECTION_ERRORS as error:
                connection.close()
                last_error = error
            else:
                return connection
        raise last_error

    def prepare(self, address: str, wait_s: float) -> HTTPConnection:
        """Return an unconnected connection.

        The certificate must match the name, not the address.
        """
        if self.tls is None:
            self.tls = ssl.create_default_context(cafile=self.webhook.ca_file)
        if self.destination.scheme == "http":
            return HTTPConnection(address, self.destination.port, timeout=wait_s)
        return HTTPSConnection(
            address,
            self.destination.port,
            timeout=wait_s,
            ssl_context=self.tls,
            server_hostname=self.destination.host,
        )

    def exchange(self, connection: HTTPConnection, notice: Notice) -> Reply:
        """Send one request, and read the beginning of its answer."""
        if self.must_stop():
            raise TimeoutError
        body = notice.payload.encode("utf-8", "backslashreplace")
        # It was made with less, to have time for other addresses. The library sets it anew.
        connection.timeout = self.timeout_s
        connection.request(
            "POST",
            self.destination.path,
            body=body,
            headers=self.headers(notice, body),
            preload_content=False,
            decode_content=False,
        )
        self.is_reading = True
        try:
            response = connection.getresponse()
            text = self.destination.hide(self.read(response).decode("utf-8", "backslashreplace"))
            return reply_for(response, text, now=self.now())
        finally:
            self.is_reading = False

    def read(self, response: BaseHTTPResponse) -> bytes:
        """Read the beginning of an answer's body; the status counts even if the rest is cut off."""
        try:
            text = response.read(ANSWER_BYTES)
        except CONNECTION_ERRORS:
            self.release()
            return b""
        if len(text) == ANSWER_BYTES:
            self.release()  # more may follow, which is not read
        return text

    def headers(self, notice: Notice, body: bytes) -> dict[str, str]:
        """Return the headers as in https://www.standardwebhooks.com."""
        moment = int(self.now())
        headers = {
            "Host": self.destination.authority,
            "Content-Type": "application/json",
            "User-Agent": f"cvunetd/{__version__}",
            "webhook-id": notice.event_id,
            "webhook-timestamp": str(moment),
        }
        if self.webhook.key is not None:
            headers["webhook-signature"] = sign(self.webhook.key, notice.event_id, moment, body)
        return headers

    def release(self) -> None:
        """Close the connection."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def must_stop(self) -> bool:
        """Whether nothing new may be started."""
        return self.is_late or self.is_stopping

    def interrupt(self) -> None:
        """End the attempt: the time is up, however slowly the server still sends."""
        self.is_late = True
        self.shut_down_socket()

    def abort(self) -> None:
        """End the attempt: the daemon stops."""
        self.is_stopping = True
        self.shut_down_socket()

    def shut_down_socket(self) -> None:
        """From another thread: end the sender's read as at the end of an answer, or fail its write.

        A socket that is shut for writing too is reset by the next byte from the server. The reset
        would discard the status that has come in time.
        """
        connection = self.connection
        sock = None if connection is None else connection.sock
        if sock is not None:
            how = socket.SHUT_RD if self.is_reading else socket.SHUT_RDWR
            with suppress(OSError):
                # Not SSLSocket's own `shutdown`: it would discard the TLS state under the reader.
                socket.socket.shutdown(sock, how)


def reply_for(response: BaseHTTPResponse, text: str, *, now: float) -> Reply:
    """Return what an answer means."""
    status = response.status
    if 200 <= status < 300:
        return Accepted()
    body = printable(" ".join(text.split()))[:ANSWER_LETTERS]
    reason = f"answer {status}{': ' if body else ''}{body}"
    if 300 <= status < 400:
        return PermanentFailure(f"{reason} (redirects are not followed: set url to the new place)")
    if status in TEMPORARY_STATUSES or status >= 500:
        return TemporaryFailure(
            reason, retry_after_s=retry_after_s(response.headers.get("Retry-After"), now=now)
        )
    return PermanentFailure(reason)


def retry_after_s(header: str | None, *, now: float) -> float:
    """Return the seconds of ``Retry-After``, also from a date; 0 for anything else."""
    if header is None:
        return 0.0
    if header.strip().isdecimal():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max((aware - datetime.fromtimestamp(now, UTC)).total_seconds(), 0.0)
