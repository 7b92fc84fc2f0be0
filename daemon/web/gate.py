"""The outermost layer: who may ask, refusals in the client's format, safe headers, the log."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException

from daemon.errors import Blame, LedgerError, blame, describe, printable
from daemon.web.access import ZIPS, Access, Head
from daemon.web.answers import refusal
from daemon.web.bodies import ClientGone
from daemon.web.problems import Problem, unavailable

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]  # Any: of ASGI
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: After a refusal the rest of a body is thrown away for so long, so that the client can read it.
LINGER_S = 1.0
PATH_LETTERS = 100
SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:;"
        " connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, X-Api-Key",
    "Access-Control-Max-Age": "600",
}
CODES = {404: "not_found", 405: "method_not_allowed"}


class Gate:
    """Lets requests through to the application, and its answers out."""

    def __init__(self, app: App, access: Access, *, clock: Callable[[], float]) -> None:
        self.app = app
        self.access = access
        self.clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        assert scope["type"] == "http"
        exchange = Exchange(scope, receive, send, since=self.clock())
        scope["app"] = self  # so that the library raises its refusals
        try:
            exchange.allow(self.access)
            if exchange.is_preflight:
                await exchange.welcome()
            else:
                await self.app(scope, exchange.receive, exchange.send)
        except Problem as problem:
            await exchange.refuse(problem)
        except HTTPException as error:
            await exchange.refuse(problem_of_library(error))
        except ClientGone:
            exchange.give_up("the client has hung up")
        except asyncio.CancelledError:
            exchange.give_up("the server stops")
            raise
        except Exception as error:  # noqa: BLE001  # nothing may end the server
            await exchange.refuse(problem_of(error))
        finally:
            exchange.log(self.clock())


class Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, since: float) -> None:
        self.scope = scope
        self.receive = receive
        self.send_on = send
        self.since = since
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1"), value.decode("latin-1"))
        self.head = Head(scope["method"], scope["path"], headers)
        self.extra: dict[str, str] = {}
        self.status = 0
        self.sent_bytes = 0

    def allow(self, access: Access) -> None:
        """Check the head; `Problem` if it is refused."""
        self.extra = access.cors(self.head)
        self.scope["state"]["key_name"] = access.check(self.head)

    @property
    def is_preflight(self) -> bool:
        """Whether a browser asks if a page of a listed origin may send something."""
        return self.head.method == "OPTIONS" and bool(self.extra)

    async def welcome(self) -> None:
        """Answer a browser's question."""
        self.extra |= PREFLIGHT
        await self.send({"type": "http.response.start", "status": 204, "headers": []})
        await self.send({"type": "http.response.body", "body": b""})

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on, with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = {name.lower() for name, _ in message["headers"]}
            more = SECURITY | self.extra
            message["headers"] = [
                *message["headers"],
                *(
                    (name.encode(), value.encode())
                    for name, value in more.items()
                    if name.lower().encode() not in given
                ),
            ]
        else:
            self.sent_bytes += len(message.get("body", b""))
        await self.send_on(message)

    async def refuse(self, problem: Problem) -> None:
        """Answer with the reason; if an answer has begun already, the connection is broken off."""
        if self.status:
            raise BrokenOff(str(problem)) from problem
        status, body, headers = refusal(self.head.path, problem)
        if problem.is_closing:
            headers["Connection"] = "close"
        pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        start = {"type": "http.response.start", "status": status.value, "headers": pairs}
        await self.send(start)
        await self.send({"type": "http.response.body", "body": body, "more_body": True})
        if problem.is_closing:
            await self.linger()
        await self.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def linger(self) -> None:
        """Throw away what comes for a moment: a reset would destroy the answer on its way."""
        try:
            async with asyncio.timeout(LINGER_S):
                while True:
                    message = await self.receive()
                    if message["type"] != "http.request" or not message.get("more_body"):
                        return
        except TimeoutError:
            return

    def give_up(self, reason: str) -> None:
        """Note that there will be no answer."""
        logger.debug("%s %s: %s", self.head.method, self.path, reason)

    @property
    def path(self) -> str:
        """Return the path for the log: it holds ids, but no names of pictures, nor a zip's key."""
        before, zips, token = self.head.path.partition(ZIPS)
        path = f"{before}{zips}….zip" if token else self.head.path
        return printable(path[:PATH_LETTERS])

    def log(self, now: float) -> None:
        """Write one line; without query, names and keys."""
        client = self.scope.get("client")
        logger.info(
            "%s %s %s: %s, %s bytes in %.3f s%s",
            client[0] if client else "local",
            self.head.method if self.head.method.isalpha() else "?",
            self.path,
            self.status or "no answer",
            self.sent_bytes,
            now - self.since,
            f", key {name}" if (name := self.scope["state"].get("key_name")) else "",
        )


class BrokenOff(Exception):
    """An answer that has begun cannot be finished."""


def problem_of_library(error: HTTPException) -> Problem:
    """Return a refusal of the library's as one of ours."""
    status = HTTPStatus(error.status_code)
    code = CODES.get(error.status_code, "refused")
    return Problem(status, code, error.detail, headers=dict(error.headers or {}))


def problem_of(error: Exception) -> Problem:
    """Return what a client is told of an error of ours."""
    if isinstance(error, LedgerError):
        logger.warning("a request could not be answered: %s", describe(error))
        return unavailable("the ledger cannot be read now")
    if isinstance(error, OSError) and blame(error) in (Blame.MACHINE, Blame.UNSURE):
        logger.warning("a request could not be answered: %s", describe(error))
        return Problem(
            HTTPStatus.INSUFFICIENT_STORAGE,
            "storage",
            "the disk cannot be used now; nothing was taken",
            headers={"Retry-After": "30"},
            is_closing=True,
        )
    logger.error("a request could not be answered", exc_info=error)
    return Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "unforeseen; see the log", is_closing=True
    )


def monotonic() -> float:
    """Return the time by which requests are measured."""
    return time.monotonic()
