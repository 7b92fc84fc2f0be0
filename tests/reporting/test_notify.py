"""Word to systemd."""

import logging
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.reporting.notify import Notifier, find_send


class Line:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def send(self, text: str) -> None:
        """What systemd would get."""
        self.heard.append(text)


@pytest.fixture
def line() -> Line:
    """A listener."""
    return Line()


@pytest.fixture
def listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """systemd's end of a real socket."""
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind("notify")
        server.settimeout(5.0)
        monkeypatch.setenv("NOTIFY_SOCKET", "/proc/self/cwd/notify")
        yield server


# --- what is said ------------------------------------------------------------------------------


def test_ready(line: Line):
    """The start is done."""
    Notifier(line.send, is_expected=True).ready()

    assert line.heard == ["READY=1"]


def test_stopping(line: Line):
    """The end has begun."""
    Notifier(line.send, is_expected=True).stopping()

    assert line.heard == ["STOPPING=1"]


def test_status(line: Line):
    """One line for people."""
    Notifier(line.send, is_expected=True).status("3 done")

    assert line.heard == ["STATUS=3 done"]


def test_same_status_is_sent_once(line: Line):
    """Until it changes."""
    notifier = Notifier(line.send, is_expected=True)
    for text in ("a", "a", "b", "a"):
        notifier.status(text)

    assert line.heard == ["STATUS=a", "STATUS=b", "STATUS=a"]


@pytest.mark.parametrize("text", ["a\nMAINPID=1", "a\r\nMAINPID=1", "a \n\n MAINPID=1\n"])
def test_line_break_begins_no_assignment(line: Line, text: str):
    """A file's name must not speak to systemd."""
    Notifier(line.send, is_expected=True).status(text)

    assert line.heard == ["STATUS=a MAINPID=1"]


def test_status_can_be_encoded(line: Line):
    """A name that is no text, and what a terminal obeys."""
    Notifier(line.send, is_expected=True).status("\udcff \x1b[2J")

    assert line.heard == ["STATUS=\\udcff \\x1b[2J"]


def test_assignments_share_a_datagram(line: Line):
    """One on each line."""
    Notifier(line.send, is_expected=True).send_lines("A=1", "B=2")

    assert line.heard == ["A=1\nB=2"]


# --- who listens -------------------------------------------------------------------------------


@pytest.mark.systemd
def test_datagram_arrives(listener: socket.socket):
    """Through systemd-python and a real socket."""
    Notifier(find_send(), is_expected=True).status("Kätzchen")

    assert listener.recv(1000).decode() == "STATUS=Kätzchen"


@pytest.mark.systemd
def test_no_socket_is_silence(monkeypatch: pytest.MonkeyPatch):
    """Started by hand: nobody to tell, no error."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    send = find_send()
    assert send is not None

    assert not send("READY=1")


@pytest.mark.systemd
def test_listener_that_is_gone_does_not_end_us(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
):
    """The work matters more than word of it."""
    monkeypatch.setenv("NOTIFY_SOCKET", "/proc/self/cwd/nobody")
    notifier = Notifier(find_send(), is_expected=True)
    notifier.ready()

    assert notifier.send is not None


def test_failing_send_does_not_end_us():
    """The same without the library."""
    heard: list[str] = []

    def send(text: str) -> None:
        heard.append(text)
        raise ConnectionRefusedError

    Notifier(send, is_expected=True).ready()

    assert heard == ["READY=1"]


def test_missing_package_is_no_error(monkeypatch: pytest.MonkeyPatch):
    """systemd-python is an extra."""
    monkeypatch.setitem(sys.modules, "systemd", None)

    assert find_send() is None


def test_missing_package_is_told_where_systemd_waits(caplog: pytest.LogCaptureFixture):
    """Once, at the start, with what to do."""
    notifier = Notifier(None, is_expected=True)
    notifier.ready()
    notifier.status("a")
    notifier.stopping()

    assert len(caplog.records) == 1
    assert "install cvunet-daemon[systemd], or set Type=exec" in caplog.text


def test_missing_package_is_not_told_otherwise(caplog: pytest.LogCaptureFixture):
    """Nobody waits."""
    caplog.set_level(logging.DEBUG)
    Notifier(None, is_expected=False).ready()

    assert caplog.records == []
