"""Webhooks: a real HTTPS server on this machine, whose certificate a test's own authority signs."""

import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.hooks.signature import sign
from daemon.notices import (
    Accepted,
    Hook,
    Interrupted,
    PermanentFailure,
    Reply,
    TemporaryFailure,
    Webhook,
)
from tests.hooks.hooks_kit import Answer, Receiver, notice, resolver
from tests.samples import NOW

pytestmark = pytest.mark.webhooks

KEY = b"0123456789abcdef"
PATIENCE_S = 30.0


@pytest.fixture(scope="module")
def authority() -> Any:  # Any: trustme is there only where the tests run
    """Signs certificates."""
    import trustme

    return trustme.CA()


@pytest.fixture
def ca_file(authority: Any, tmp_path: Path) -> Path:
    """What a hook has to trust."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


def context(authority: Any, *names: str) -> ssl.SSLContext:
    """Of a server with these names."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(tls)
    return tls


@pytest.fixture
def receiver(authority: Any) -> Iterator[Receiver]:
    """Listens, and has the name localhost."""
    with Receiver(context(authority, "localhost")).serving() as receiver:
        yield receiver


Open = Callable[..., Any]


@pytest.fixture
def opened(ca_file: Path) -> Iterator[Open]:
    """Makes senders, and closes them in the end."""
    from daemon.hooks.webhooks import WebhookSender

    made: list[WebhookSender] = []

    def make(url: str, *, timeout_s: float = PATIENCE_S, **changes: Any) -> WebhookSender:
        resolve = changes.pop("resolve", socket.getaddrinfo)
        settings: dict[str, Any] = {"key": KEY, "ca_file": ca_file, "allow_private": True}
        webhook = Webhook(url, **settings | changes)
        hook = Hook("on_done", "test", webhook, timeout_s=timeout_s)
        made.append(WebhookSender(hook, webhook, resolve=resolve, now=lambda: NOW))
        return made[-1]

    yield make
    for sender in made:
        sender.release()


def test_event_is_posted(receiver: Receiver, opened: Open):
    """Body, address and headers; signed as the standard has it."""
    payload = json.dumps({"source": "übung"}, ensure_ascii=False)

    assert Accepted() == opened(receiver.url()).send(notice(payload=payload))
    [request] = receiver.requests
    assert request.body == payload.encode()
    assert request.path == "/hooks/token?x=1"
    assert request.headers["host"] == f"localhost:{receiver.port}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("cvunetd/")
    assert request.headers["webhook-id"] == "done-1"
    assert request.headers["webhook-timestamp"] == str(int(NOW))
    assert request.headers["webhook-signature"] == sign(KEY, "done-1", int(NOW), request.body)


def test_without_a_key_nothing_is_signed(receiver: Receiver, opened: Open):
    """A header that proves nothing would be worse than none."""
    opened(receiver.url(), key=None).send(notice())

    assert "webhook-signature" not in receiver.requests[0].headers


def test_an_answer_has_its_whole_time_whatever_the_number_of_addresses(
    receiver: Receiver, opened: Open
):
    """Only connections share it: a load balancer has eight addresses, and its first one answers."""

    def answer(request: object) -> Answer:
        time.sleep(3.0)  # longer than its share of the connections' time
        return Answer(204)

    receiver.answer = answer
    several = resolver(*(f"127.0.0.{number}" for number in range(1, 9)))

    assert Accepted() == opened(receiver.url(), timeout_s=20.0, resolve=several).send(notice())


# --- answers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_told(receiver: Receiver, opened: Open, status: int):
    """Any 2xx."""
    receiver.answer = lambda request: Answer(status)

    assert Accepted() == opened(receiver.url()).send(notice())


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
def test_refused_for_good(receiver: Receiver, opened: Open, status: int):
    """With what the server says."""
    receiver.answer = lambda request: Answer(status, body=b"no \x1b such\nhook")

    expected = PermanentFailure(f"answer {status}: no \\x1b such hook")
    assert expected == opened(receiver.url()).send(notice())


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_passing_trouble(receiver: Receiver, opened: Open, status: int):
    """Again later."""
    receiver.answer = lambda request: Answer(status)

    assert TemporaryFailure(f"answer {status}") == opened(receiver.url()).send(notice())


@pytest.mark.parametrize(
    ("header", "after_s"),
    [
        ("120", 120.0),
        ("Fri, 15 Jan 2027 08:01:00 GMT", 60.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("soon", 0.0),
        ("-1", 0.0),
    ],
)
def test_delay_that_a_server_asks_for(
    receiver: Receiver, opened: Open, header: str, after_s: float
):
    """As seconds, or as a date."""
    receiver.answer = lambda request: Answer(503, {"Retry-After": header})

    assert TemporaryFailure("answer 503", retry_after_s=after_s) == opened(receiver.url()).send(
        notice()
    )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(receiver: Receiver, opened: Open, status: int):
    """It could lead inside."""
    receiver.answer = lambda request: Answer(status, {"Location": receiver.url(path="/other")})

    reply = opened(receiver.url()).send(notice())

    assert isinstance(reply, PermanentFailure)
    assert "redirects are not followed" in reply.reason
    assert len(receiver.requests) == 1


def test_proxies_are_not_used(receiver: Receiver, opened: Open, monkeypatch: pytest.MonkeyPatch):
    """What the environment says is not what the configuration says."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")

    assert Accepted() == opened(receiver.url()).send(notice())


# --- connections -------------------------------------------------------------------------------


def test_notices_share_a_connection(receiver: Receiver, opened: Open):
    """Until there is a rest."""
    sender = opened(receiver.url())
    for number in (1, 2, 3):
        sender.send(notice(number))
    sender.release()
    sender.send(notice(4))

    peers = [request.peer for request in receiver.requests]
    assert len(set(peers[:3])) == 1
    assert peers[3] != peers[0]


def test_server_that_closes_is_connected_anew(receiver: Receiver, opened: Open):
    """With a word, or without one."""
    receiver.answer = lambda request: Answer(200, {"Connection": "close"})
    sender = opened(receiver.url())

    assert [Accepted()] * 3 == [sender.send(notice(number)) for number in (1, 2, 3)]


def test_long_answer_is_not_read(receiver: Receiver, opened: Open):
    """The status is all that we want to know."""
    receiver.answer = lambda request: Answer(200, body=b"x" * 5_000_000)
    sender = opened(receiver.url())

    assert [Accepted()] * 2 == [sender.send(notice(number)) for number in (1, 2)]


def test_status_counts_though_the_body_never_comes(receiver: Receiver, opened: Open):
    """It has been told."""
    receiver.answer = lambda request: Answer(200, {"Content-Length": "100"}, b"x")

    assert Accepted() == opened(receiver.url(), timeout_s=3.0).send(notice())


def test_silent_server_is_left(receiver: Receiver, opened: Open):
    """After the time-out."""
    awake = threading.Event()
    receiver.answer = lambda request: Answer(wait=lambda: awake.wait(PATIENCE_S))

    reply = opened(receiver.url(), timeout_s=0.3).send(notice())
    awake.set()

    assert TemporaryFailure("localhost: no answer after 0.3 s") == reply


@pytest.mark.parametrize(
    ("beginning", "expected"),
    [
        (b"HTTP/1.1 2", TemporaryFailure("127.0.0.1: no answer after 3 s")),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", Accepted()),
    ],
)
def test_dripping_server_is_left(opened: Open, beginning: bytes, expected: Reply):
    """Each byte comes in time, all of them never do; what it has said in time counts."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def drip() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.recv(65_536)
            peer.sendall(beginning)
            while not ended.wait(0.05):
                try:
                    peer.sendall(b"x")
                except OSError:
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    reply = opened(url, timeout_s=3.0).send(notice())  # else it would never come back
    ended.set()
    thread.join()
    listener.close()

    assert expected == reply


def test_interrupted_socket_is_not_reset(opened: Open):
    """A server that goes on sending does not take back what it has said."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        mine = socket.create_connection(listener.getsockname())
        peer, _ = listener.accept()
    sender = opened("http://127.0.0.1/")
    sender.connection = SimpleNamespace(sock=mine, close=mine.close)
    sender.is_reading = True
    with peer:
        peer.sendall(b"HTTP/1.1 200 OK\r\n")
        sender.interrupt()
        for _ in range(3):  # the first byte calls for the reset, a later one would meet it
            peer.sendall(b"x")
            time.sleep(0.05)

        assert mine.recv(100) == b"HTTP/1.1 200 OK\r\nxxx"
        assert mine.recv(100) == b""


def test_server_that_reads_nothing_is_left(opened: Open):
    """A write that waits ends too."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sender = opened(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout_s=1.0)
        began = time.monotonic()
        reply = sender.send(replace(notice(), payload="x" * 30_000_000))
        took_s = time.monotonic() - began

    assert TemporaryFailure("127.0.0.1: no answer after 1 s") == reply
    assert took_s < PATIENCE_S


def test_stop_of_the_daemon_interrupts(receiver: Receiver, opened: Open):
    """At once, and blames nobody."""
    asked, awake = threading.Event(), threading.Event()

    def wait() -> None:
        asked.set()
        awake.wait(PATIENCE_S)

    receiver.answer = lambda request: Answer(wait=wait)
    sender = opened(receiver.url(), timeout_s=60.0)
    replies: list[Reply] = []
    thread = threading.Thread(target=lambda: replies.append(sender.send(notice())))
    thread.start()
    assert asked.wait(PATIENCE_S)

    sender.abort()
    thread.join(PATIENCE_S)
    awake.set()

    assert [Interrupted()] == replies


def test_nobody_listens(opened: Open):
    """Told with the host, not with the path, which may be a secret."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    reply = opened(f"https://localhost:{port}/hooks/token").send(notice())

    assert isinstance(reply, TemporaryFailure)
    assert "localhost" in reply.reason
    assert "refused" in reply.reason
    assert "token" not in reply.reason


def test_second_address_serves_where_the_first_does_not(
    authority: Any, receiver: Receiver, opened: Open
):
    """Hosts have several."""
    sender = opened(receiver.url(), resolve=resolver("127.0.0.2 127.0.0.1"))

    assert Accepted() == sender.send(notice())


def test_unknown_name_is_passing(opened: Open):
    """The name server may be away."""

    def resolve(*question: object, **hints: object) -> list[Any]:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    reply = opened("https://example.com/", resolve=resolve).send(notice())

    assert isinstance(reply, TemporaryFailure)
    assert "Temporary failure in name resolution" in reply.reason


def test_name_server_that_takes_too_long(receiver: Receiver, opened: Open):
    """Nobody can wake who waits for it; but then it is too late to begin."""
    answer = resolver("127.0.0.1")

    def resolve(*question: Any, **hints: Any) -> Any:
        time.sleep(0.6)
        return answer(*question, **hints)

    reply = opened(receiver.url(), resolve=resolve, timeout_s=0.3).send(notice())

    assert TemporaryFailure("localhost: no answer after 0.3 s") == reply
    assert receiver.requests == []


# --- trust -------------------------------------------------------------------------------------


def test_private_address_is_refused(receiver: Receiver, opened: Open):
    """Nothing is connected to."""
    reply = opened(receiver.url(), allow_private=False).send(notice())

    assert isinstance(reply, TemporaryFailure)
    assert "localhost is the private address" in reply.reason
    assert receiver.requests == []


def test_what_was_checked_is_what_is_connected_to(receiver: Receiver, opened: Open):
    """A name server that answers with this machine at the second question finds nobody to ask it.

    The first address, a public one, is not there: no second question is asked.
    """
    asked: list[str] = []
    answers = resolver("127.0.0.1", "169.254.169.254")

    def resolve(host: str, port: int, **hints: object) -> Any:
        asked.append(host)
        return answers(host, port, **hints)

    assert Accepted() == opened(receiver.url("localhost"), resolve=resolve).send(notice())
    assert asked == ["localhost"]


def test_rebound_name_is_refused(receiver: Receiver, opened: Open):
    """A new connection is a new check."""
    answers = resolver("127.0.0.1", "169.254.169.254")
    sender = opened(receiver.url(), resolve=answers)
    first = sender.send(notice(1))
    sender.release()
    second = sender.send(notice(2))

    assert Accepted() == first
    assert isinstance(second, TemporaryFailure)
    assert "169.254.169.254: such addresses are never used" in second.reason
    assert len(receiver.requests) == 1


def test_certificate_has_to_be_of_the_name(authority: Any, opened: Open):
    """Though the address is right, and the authority is trusted."""
    with Receiver(context(authority, "other.example", "127.0.0.1")).serving() as receiver:
        reply = opened(receiver.url("localhost")).send(notice())

    assert isinstance(reply, TemporaryFailure)
    assert "certificate" in reply.reason
    assert receiver.requests == []


def test_address_in_the_url_has_to_be_certified(authority: Any, opened: Open):
    """Where there is no name."""
    with Receiver(context(authority, "127.0.0.1")).serving() as receiver:
        reply = opened(receiver.url("127.0.0.1")).send(notice())

    assert Accepted() == reply


def test_authority_has_to_be_trusted(receiver: Receiver, opened: Open):
    """By the system, unless ca_file says otherwise."""
    reply = opened(receiver.url(), ca_file=None).send(notice())

    assert isinstance(reply, TemporaryFailure)
    assert "certificate" in reply.reason
    assert receiver.requests == []


def test_plain_http_on_this_machine(opened: Open):
    """If it is allowed."""
    with Receiver().serving() as receiver:
        reply = opened(receiver.url()).send(notice())

    assert Accepted() == reply


def test_plain_http_to_the_world(opened: Open):
    """Never, whatever the name server says."""
    sender = opened("http://localhost/", resolve=resolver("93.184.216.34"))

    reply = sender.send(notice())

    assert isinstance(reply, TemporaryFailure)
    assert "only https goes there" in reply.reason


def test_nothing_secret_is_logged(
    receiver: Receiver, opened: Open, caplog: pytest.LogCaptureFixture
):
    """Not even with log.level: debug, by us or by the library, in good and in bad."""
    caplog.set_level(logging.DEBUG)
    receiver.answer = lambda request: Answer(404, body=b"no such hook")
    replies = [opened(receiver.url()).send(notice())]
    replies += [opened(receiver.url(), ca_file=None).send(notice())]
    replies += [opened(receiver.url(), allow_private=False).send(notice())]

    shown = caplog.text + repr(replies)
    assert "no such hook" in shown
    assert "token" not in shown
    assert KEY.decode() not in shown


@pytest.mark.parametrize(
    "repeated",
    [
        "Cannot POST /services/T0/s%33cret-token?key=hunter2",
        "no /services/T0/s3cret-token",
        "not found: <b>s3cret-token</b>, key hunter2",
        "x" * 187 + "/services/T0/s%33cret-token",
    ],
)
def test_answer_that_repeats_the_path_is_told_without_it(
    receiver: Receiver, opened: Open, repeated: str
):
    """As the error pages of Express, Apache and Django do: whole, decoded or in parts."""
    receiver.answer = lambda request: Answer(404, body=repeated.encode())
    reply = opened(receiver.url(path="/services/T0/s%33cret-token?key=hunter2")).send(notice())

    assert "answer 404: " in reply.reason
    assert "…" in reply.reason
    assert "cret" not in reply.reason
    assert "hunter2" not in reply.reason


def test_secrets_are_not_shown():
    """A value that lands in a log or a traceback."""
    shown = repr(Hook("on_done", "x", Webhook("https://example.com/token", key=KEY)))

    assert "token" not in shown
    assert "0123" not in shown
