"""Pages over HTTP: on loopback and on a socket file, with bounds."""

import http.client
import logging
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from daemon.config.addresses import Address, Loopback, SocketFile
from daemon.errors import InstallError
from daemon.reporting import endpoint
from daemon.reporting.endpoint import Callers, Endpoint, Page, Response

WAIT_S = 50.0  # only a failing test, or a very busy machine, waits that long


def free_port(host: str = "127.0.0.1") -> int:
    """One that nobody has now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            pytest.skip(f"{host} cannot be had here")
        return int(probe.getsockname()[1])


def hello(accept: str) -> Response:
    """A page."""
    return Response(HTTPStatus.OK, f"hello {accept}".encode(), "text/x-hello")


def stumble(accept: str) -> Response:
    """A page with a fault of ours."""
    raise RuntimeError("our fault")


PAGES: dict[str, Page] = {"/hello": hello, "/stumble": stumble}


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a socket file."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=WAIT_S)
        self.path = path

    def connect(self) -> None:
        """To the file."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


def ask(address: Address, path: str, method: str = "GET") -> tuple[int, str | None, bytes]:
    """Status, type, body."""
    if isinstance(address, SocketFile):
        connection: http.client.HTTPConnection = UnixConnection(address.path)
    else:
        connection = http.client.HTTPConnection(address.host, address.port, timeout=WAIT_S)
    try:
        connection.request(method, path, headers={"Accept": "x/y"})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read()
    finally:
        connection.close()


@pytest.fixture(params=["127.0.0.1", "::1", "socket"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    """Each kind."""
    if request.param == "socket":
        return SocketFile(tmp_path / "metrics.sock")
    return Loopback(request.param, free_port(request.param))


@pytest.fixture
def port() -> Loopback:
    """A free port."""
    return Loopback("127.0.0.1", free_port())


@pytest.fixture
def served(address: Address) -> Iterator[Address]:
    """Pages at an address."""
    point = Endpoint(address, PAGES)
    point.start()
    yield address
    point.stop()


@pytest.fixture
def at_port(port: Loopback) -> Iterator[Loopback]:
    """Pages at a port."""
    point = Endpoint(port, PAGES)
    point.start()
    yield port
    point.stop()


def test_page(served: Address):
    """With its type; what the client accepts reaches it."""
    assert ask(served, "/hello") == (200, "text/x-hello", b"hello x/y")


def test_page_with_a_query(at_port: Loopback):
    """Some monitors add one."""
    assert ask(at_port, "/hello?x=1")[0] == 200


def test_head(at_port: Loopback):
    """The same without a body."""
    assert ask(at_port, "/hello", "HEAD") == (200, "text/x-hello", b"")


@pytest.mark.parametrize("path", ["/", "/hello/", "/../hello", "/etc/passwd"])
def test_no_page(at_port: Loopback, path: str):
    """The answer names those that there are."""
    assert ask(at_port, path) == (
        404,
        "text/plain; charset=utf-8",
        b"there are: /hello /stumble\n",
    )


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_changed(at_port: Loopback, method: str):
    """Only asking is possible."""
    assert ask(at_port, "/hello", method)[0] == 501


def test_fault_of_ours(at_port: Loopback, caplog: pytest.LogCaptureFixture):
    """Told in the log, and the next page is served."""
    assert ask(at_port, "/stumble")[0] == 500
    assert "RuntimeError: our fault" in caplog.text
    assert ask(at_port, "/hello")[0] == 200


def test_requests_are_no_news(at_port: Loopback, caplog: pytest.LogCaptureFixture):
    """A line every few seconds would hide the others."""
    caplog.set_level(logging.INFO)
    ask(at_port, "/hello")

    assert caplog.messages == []


def connected(address: Loopback, count: int) -> list[socket.socket]:
    """Monitors that have said nothing yet."""
    return [socket.create_connection((address.host, address.port)) for _ in range(count)]


def test_slow_clients_keep_nobody_out(at_port: Loopback):
    """Eight have begun a question and say no more: each next one is answered all the same."""
    before = threading.active_count()
    slow = connected(at_port, 2 * endpoint.MAX_REQUESTS)
    for client in slow:
        with suppress(OSError):
            client.sendall(b"GET /hello HT")
    for client in slow[: endpoint.MAX_REQUESTS]:
        is_left(client)
    # A thread that was hung up on has yet to run to its end; without that nobody could be let in.
    deadline = time.monotonic() + WAIT_S
    while threading.active_count() > before + endpoint.MAX_REQUESTS:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    answers = {ask(at_port, "/hello")[0] for _ in range(20)}
    threads = threading.active_count()
    for client in slow:
        client.close()

    assert answers == {200}
    assert threads <= before + endpoint.MAX_THREADS


def is_left(client: socket.socket) -> None:
    """Wait until a client that has said too little is hung up on."""
    client.settimeout(WAIT_S)
    with suppress(ConnectionError):
        assert client.recv(1) == b""


def test_threads_that_are_slow_to_end_keep_nobody_out(
    at_port: Loopback, monkeypatch: pytest.MonkeyPatch
):
    """On a busy machine it takes them a while to notice that they were hung up on."""
    monkeypatch.setattr(endpoint, "ROOM_S", WAIT_S)
    end, is_late = endpoint.Server.process_request_thread, threading.Event()

    def end_late(server: Any, request: Any, client_address: Any) -> None:  # Any: of the library
        """As a thread that gets no processor."""
        is_late.wait(WAIT_S)
        end(server, request, client_address)

    monkeypatch.setattr(endpoint.Server, "process_request_thread", end_late)
    slow = connected(at_port, endpoint.MAX_THREADS)
    timer = threading.Timer(0.5, is_late.set)
    timer.start()
    status = ask(at_port, "/hello")[0]
    timer.join()
    for client in slow:
        client.close()

    assert status == 200


def test_machine_without_threads_costs_no_slot(at_port: Loopback, monkeypatch: pytest.MonkeyPatch):
    """For a while no thread can be started; after that everybody is answered again."""
    with monkeypatch.context() as patch:

        def refuse(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        patch.setattr(threading.Thread, "start", refuse)
        for _ in range(endpoint.MAX_THREADS + 2):
            with suppress(OSError, http.client.HTTPException):
                ask(at_port, "/hello")
    monkeypatch.setattr(endpoint, "ROOM_S", WAIT_S / 2)
    began = time.monotonic()
    status, *_ = ask(at_port, "/hello")

    assert status == 200
    assert time.monotonic() - began < endpoint.ROOM_S


def test_a_client_that_says_a_little_now_and_then_is_left(
    at_port: Loopback, monkeypatch: pytest.MonkeyPatch
):
    """What counts is how long it takes in all."""
    monkeypatch.setattr(endpoint, "REQUEST_TIMEOUT_S", 0.5)
    [slow] = connected(at_port, 1)
    slow.settimeout(0.05)
    is_left = False
    for _ in range(200):
        with suppress(TimeoutError):
            try:
                slow.sendall(b"G")
                is_left = slow.recv(1) == b""
            except ConnectionError:
                is_left = True
        if is_left:
            break
    slow.close()

    assert is_left


def test_who_has_asked_is_not_hung_up_on():
    """A silent one goes first, the oldest; else the oldest of all."""
    callers, pairs = Callers(), [socket.socketpair() for _ in range(endpoint.MAX_REQUESTS + 2)]
    ours = [one for one, _ in pairs]
    for one in ours[: endpoint.MAX_REQUESTS]:
        callers.add(one, 0.0)
    callers.hear(ours[0])
    was_full = [callers.add(one, 1.0) for one in ours[endpoint.MAX_REQUESTS :]]
    left = [one for one in ours if one not in callers.waiting]
    for pair in pairs:
        for one in pair:
            one.close()

    assert was_full == [True, True]
    assert left == ours[1:3]


def test_socket_file_is_for_the_group(tmp_path: Path):
    """Others may not ask; no file is left behind."""
    address = SocketFile(tmp_path / "metrics.sock")
    point = Endpoint(address, PAGES)
    mode = stat.S_IMODE(address.path.stat().st_mode)
    point.start()
    point.stop()

    assert mode == 0o660
    assert list(tmp_path.iterdir()) == []


def test_socket_of_a_dead_process_is_replaced(tmp_path: Path):
    """After a kill it lies there, and nobody answers."""
    address = SocketFile(tmp_path / "metrics.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(address.path))
    point = Endpoint(address, PAGES)
    point.start()

    assert ask(address, "/hello")[0] == 200
    point.stop()


def test_socket_of_a_living_process_is_left(tmp_path: Path):
    """Two daemons do not take it from each other."""
    address = SocketFile(tmp_path / "metrics.sock")
    first = Endpoint(address, PAGES)
    first.start()
    with pytest.raises(InstallError, match="another program listens there"):
        Endpoint(address, PAGES)

    assert ask(address, "/hello")[0] == 200
    first.stop()


def test_no_file_is_overwritten(tmp_path: Path):
    """A path that was mistyped."""
    path = tmp_path / "picture.jpg"
    path.write_bytes(b"picture")
    with pytest.raises(InstallError, match=r"picture\.jpg cannot be had"):
        Endpoint(SocketFile(path), PAGES)

    assert path.read_bytes() == b"picture"


@pytest.mark.parametrize("name", ["absent/metrics.sock", "x" * 200])
def test_place_that_cannot_be(tmp_path: Path, name: str):
    """Its folder is not there, or the name is longer than the kernel takes."""
    with pytest.raises(InstallError, match="make its folder, writable for the daemon"):
        Endpoint(SocketFile(tmp_path / name), PAGES)


def test_port_that_is_taken(at_port: Loopback):
    """Said with the port and what to do."""
    expected = f"{at_port.port} cannot be had .*: another program listens there: choose another"
    with pytest.raises(InstallError, match=expected):
        Endpoint(at_port, PAGES)
