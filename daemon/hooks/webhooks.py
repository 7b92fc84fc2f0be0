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

#: What passes by itself, of the answers that blame the sender (4xx).
TEMPORARY_STATUSES = frozenset({408, 425, 429})
ANSWER_BYTES = 1024
ANSWER_LETTERS = 200  # letters of an answer
SHORTEST_S = 1.0  # for one of several addresses
#: All that can go wrong between us and a server; ValueError is a socket that `abort` has closed.
CONNECTION_ERRORS = (HTTPError, http.client.HTTPException, OSError, ValueError)


class WebhookSender:
    """Posts to the address of one hook. One connection, as long as notices follow each other."""

    def __init__(
        self,
        hook: Hook,
        webhook: Webhook,
        *,
        resolve: Resolve = socket.getaddrinfo,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``resolve`` finds addresses."""
        self.destination = destinations.parse(webhook.url)
        self.webhook = webhook
        self.timeout_s = hook.timeout_s
        self.resolve = resolve
        self.now = now
        self.tls: ssl.SSLContext | None = None
        self.connection: HTTPConnection | None = None
        self.is_late = False
        self.is_stopping = False

    def send(self, notice: Notice) -> Reply:
        """Post, and judge the answer. Redirects are not followed, proxies not used."""
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
        """Why there is no answer."""
        if self.is_late or isinstance(error, TimeoutError):
            return f"{self.destination.host}: no answer after {self.timeout_s:g} s"
        return f"{self.destination.host}: {describe(error)}"

    def attempt(self, notice: Notice) -> Reply:
        """By the connection of before, or by a new one where the server has let go of that."""
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
        """To one of the addresses that were checked, and to no other."""
        found = destinations.addresses(
            self.destination, allow_private=self.webhook.allow_private, resolve=self.resolve
        )
        wait_s = max(self.timeout_s / max(len(found), 1), SHORTEST_S)
        last_error: Exception = OSError(f"no address of {self.destination.host}")
        for address in found:
            if self.must_stop():  # nothing wakes who waits for a name server, or shakes hands
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
        """Not connected yet. The certificate has to be that of the name, not of the address."""
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
        """One request, one answer, of which only the beginning is read."""
        if self.must_stop():
            raise TimeoutError
        body = notice.payload.encode("utf-8", "backslashreplace")
        if connection.sock is not None:
            connection.sock.settimeout(self.timeout_s)
        connection.request(
            "POST",
            self.destination.path,
            body=body,
            headers=self.headers(notice, body),
            preload_content=False,
            decode_content=False,
        )
        response = connection.getresponse()
        return reply_for(response, self.read(response), now=self.now())

    def read(self, response: BaseHTTPResponse) -> bytes:
        """The beginning of an answer's body; the status counts, also where the rest is cut off."""
        try:
            text = response.read(ANSWER_BYTES)
        except CONNECTION_ERRORS:
            self.release()
            return b""
        if len(text) == ANSWER_BYTES:
            self.release()  # more may follow, which nobody reads
        return text

    def headers(self, notice: Notice, body: bytes) -> dict[str, str]:
        """As https://www.standardwebhooks.com has them."""
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
        """Nothing new may be begun."""
        return self.is_late or self.is_stopping

    def interrupt(self) -> None:
        """Time is up, however slowly the server drips."""
        self.is_late = True
        self.shut_down_socket()

    def abort(self) -> None:
        """The daemon stops."""
        self.is_stopping = True
        self.shut_down_socket()

    def shut_down_socket(self) -> None:
        """From another thread: who waits for the server wakes with an error."""
        connection = self.connection
        sock = None if connection is None else connection.sock
        if sock is not None:
            with suppress(OSError):
                # Not SSLSocket's own: that would take the keys from under the reader.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


def reply_for(response: BaseHTTPResponse, text: bytes, *, now: float) -> Reply:
    """What an answer means."""
    status = response.status
    if 200 <= status < 300:
        return Accepted()
    body = printable(" ".join(text.decode("utf-8", "backslashreplace").split()))[:ANSWER_LETTERS]
    reason = f"answer {status}{': ' if body else ''}{body}"
    if 300 <= status < 400:
        return PermanentFailure(f"{reason} (redirects are not followed: set url to the new place)")
    if status in TEMPORARY_STATUSES or status >= 500:
        return TemporaryFailure(
            reason, retry_after_s=retry_after_s(response.headers.get("Retry-After"), now=now)
        )
    return PermanentFailure(reason)


def retry_after_s(header: str | None, *, now: float) -> float:
    """``Retry-After``: seconds, or a date; 0 for what is neither."""
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
