"""What tests of hooks share: listeners of every sort."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from daemon.notices import Accepted, Hook, Notice, Reply
from tests.samples import NOW
from tests.service.service_kit import Kit

Json = dict[str, Any]  # Any: JSON


def notice(number: int = 1, *, payload: str = '{"event": "done"}', attempts: int = 0) -> Notice:
    """One that has waited since `NOW`."""
    return Notice(number, f"done-{number}", NOW, attempts, payload)


def script(path: Path, *lines: str) -> Path:
    """An executable shell script."""
    path.write_text("#!/bin/sh\n" + "\n".join(lines) + "\n")
    path.chmod(0o755)
    return path


@dataclass
class Ear:
    """A listener without a process or a network: a sender that ships with the tests."""

    answers: Callable[[Notice], Reply] = lambda notice: Accepted()
    heard: list[Notice] = field(default_factory=list)
    aborted: threading.Event = field(default_factory=threading.Event)

    def send(self, notice: Notice) -> Reply:
        """Remember, and answer."""
        self.heard.append(notice)
        return self.answers(notice)

    def release(self) -> None:
        """Nothing is held open."""

    def abort(self) -> None:
        """The daemon stops."""
        self.aborted.set()

    @property
    def payloads(self) -> list[Json]:
        """What was told, in order."""
        return [json.loads(notice.payload) for notice in self.heard]


@dataclass
class Ears:
    """One for each hook, by its key."""

    by_key: dict[str, Ear] = field(default_factory=dict)

    def __call__(self, hook: Hook) -> Ear:
        return self.by_key.setdefault(hook.key, Ear())


@dataclass(frozen=True)
class Request:
    """What a server was asked."""

    path: str
    headers: dict[str, str]
    body: bytes
    peer: int
    """The port that it came from: one for each connection."""


@dataclass
class Answer:
    """What a server says."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    wait: Callable[[], object] = lambda: None
    """Called before anything is said."""


class Receiver:
    """A real server on this machine."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.answer: Callable[[Request], Answer] = lambda request: Answer()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                headers = {key.lower(): value for key, value in self.headers.items()}
                body, peer = self.rfile.read(length), self.client_address[1]
                request = Request(self.path, headers, body, peer)
                receiver.requests.append(request)
                answer = receiver.answer(request)
                answer.wait()
                self.send_response(answer.status)
                for key, value in (
                    {"Content-Length": str(len(answer.body))} | answer.headers
                ).items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *arguments: object) -> None:
                """Silence."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *arguments: object) -> None:
                """Clients that go away are part of the tests."""

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            self.server.socket = tls.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.scheme = "http" if tls is None else "https"

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server.server_address[1])

    def url(self, host: str = "localhost", path: str = "/hooks/token?x=1") -> str:
        """Its address."""
        return f"{self.scheme}://{host}:{self.port}{path}"

    @contextmanager
    def serving(self) -> Iterator["Receiver"]:
        """Answer until the end of the block."""
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self.server.shutdown()
            self.server.server_close()
            thread.join()


def join(kit: Kit) -> None:
    """Wait until all that was begun is told, and let the service hear of it."""
    while any(channel.is_busy for channel in kit.service.parts.hook_delivery.channels.values()):
        for channel in kit.service.parts.hook_delivery.channels.values():
            channel.sending_thread.join(30)
        kit.service.tick(0)


def resolver(*addresses: str) -> Callable[..., list[tuple[object, ...]]]:
    """A name server that gives other addresses at each question."""
    answers = list(addresses)

    def resolve(host: str, port: int, **hints: object) -> list[tuple[object, ...]]:
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(2, 1, 6, "", (address, port)) for address in found.split()]

    return resolve
