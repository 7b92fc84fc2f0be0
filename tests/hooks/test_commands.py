"""Commands as hooks: real processes, in good and in bad company."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from daemon.hooks.commands import OUTPUT_BYTES, CommandSender
from daemon.notices import (
    Accepted,
    Command,
    Hook,
    Interrupted,
    PermanentFailure,
    Reply,
    TemporaryFailure,
)
from daemon.reporting.notify import for_children
from tests.hooks.hooks_kit import notice, script
from tests.samples import open_count
from tests.system.daemon_process import wait_for

ENVIRONMENT = {
    "PATH": os.defpath,
    "NOTIFY_SOCKET": "/run/x",
    "WATCHDOG_USEC": "1",
    "HOME": "/nowhere",
}


def sender(*argv: str | Path, timeout_s: float = 20.0) -> CommandSender:
    """Of a command."""
    command = Command(tuple(map(str, argv)))
    hook = Hook("on_done", "test", command, timeout_s=timeout_s)
    return CommandSender(hook, command, environment=for_children(ENVIRONMENT))


def is_alive(pid: int) -> bool:
    """Runs, and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def has_gone(file: Path) -> bool:
    """The process whose number a file holds; the system may take a moment."""
    number = int(file.read_text())
    return wait_for(lambda: not is_alive(number), patience_s=50)


def test_event_comes_on_standard_input(tmp_path: Path):
    """To the letter, names that are no text among them."""
    payload = json.dumps({"source": "übung\n\\xff.jpg"}, ensure_ascii=False)
    program = script(tmp_path / "hook", f"cat > {tmp_path}/told")

    reply = sender(program).send(notice(payload=payload))

    assert Accepted() == reply
    assert payload == (tmp_path / "told").read_text(encoding="utf-8")


def test_no_shell_reads_arguments(tmp_path: Path):
    """What would be dangerous there is a word here."""
    words = ["$(touch x)", "; touch x", "*", "a b", ""]
    program = script(tmp_path / "hook", f'printf "%s\\n" "$@" > {tmp_path}/words')

    sender(program, *words).send(notice())

    assert words == (tmp_path / "words").read_text().split("\n")[:-1]


def test_surroundings(tmp_path: Path):
    """The root as current folder, a session of its own, no word with systemd."""
    program = script(
        tmp_path / "hook",
        f"{{ pwd; cut -d' ' -f6 /proc/$$/stat; echo $$; env; }} > {tmp_path}/said",
    )

    sender(program).send(notice())

    folder, session, pid, *variables = (tmp_path / "said").read_text().splitlines()
    assert folder == "/"
    assert session.strip() == pid
    names = {line.partition("=")[0] for line in variables}
    assert "HOME" in names
    assert not names & {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}


def test_program_need_not_read(tmp_path: Path):
    """A payload larger than a pipe, to one that closes its input at once."""
    program = script(tmp_path / "hook", "exec 0<&-", "sleep 0.1")

    assert Accepted() == sender(program).send(notice(payload="x" * 1_000_000))


def test_large_payload_arrives_while_the_program_talks(tmp_path: Path):
    """Neither side waits for the other for ever."""
    program = script(
        tmp_path / "hook", f"yes | head -c 300000; cat > {tmp_path}/told; yes | head -c 300000"
    )

    assert Accepted() == sender(program).send(notice(payload="x" * 1_000_000))
    assert (tmp_path / "told").stat().st_size == 1_000_000


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0, Accepted()),
        (1, PermanentFailure("exit status 1: out err")),
        (75, TemporaryFailure("exit status 75, try again later: out err")),
    ],
)
def test_exit_status(tmp_path: Path, status: int, expected: Reply):
    """0 is told, 75 (EX_TEMPFAIL) is later, all else is never; what was said says why."""
    program = script(tmp_path / "hook", "echo out; echo err >&2", f"exit {status}")

    assert expected == sender(program).send(notice())


def test_death_by_a_signal_is_tried_again(tmp_path: Path):
    """The system was out of memory, perhaps; but not for ever."""
    program = script(tmp_path / "hook", "kill -KILL $$")

    reply = sender(program).send(notice())

    assert TemporaryFailure("ended by a signal (Killed)", max_attempts=3) == reply


def test_output_is_bounded(tmp_path: Path):
    """The end of it is kept, as one printable line."""
    program = script(
        tmp_path / "hook", "yes | head -c 5000000; printf 'last \\033[31m words'; exit 3"
    )

    reply = sender(program).send(notice())

    assert isinstance(reply, PermanentFailure)
    assert reply.reason.endswith("last \\x1b[31m words")
    assert len(reply.reason) < OUTPUT_BYTES


def test_late_program_that_has_closed_its_output(tmp_path: Path):
    """It hangs like any other: three times, and not for a day."""
    program = script(tmp_path / "hook", "trap '' TERM", "exec >/dev/null 2>&1", "sleep 300")

    reply = sender(program, timeout_s=1.0).send(notice())

    assert TemporaryFailure("not through after 1 s, ended", max_attempts=3) == reply


def test_late_program_is_ended_with_its_children(tmp_path: Path):
    """SIGTERM first, to the whole group."""
    program = script(
        tmp_path / "hook",
        "trap 'echo bye; exit 0' TERM",
        f"sleep 300 & echo $! > {tmp_path}/child; echo $$ > {tmp_path}/pid; wait",
    )

    reply = sender(program, timeout_s=3.0).send(notice())

    assert TemporaryFailure("not through after 3 s, ended: bye", max_attempts=3) == reply
    assert has_gone(tmp_path / "child")
    assert has_gone(tmp_path / "pid")


def test_deaf_program_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One that ignores SIGTERM, and its children that do."""
    monkeypatch.setattr("daemon.hooks.commands.GRACE_S", 0.3)
    program = script(
        tmp_path / "hook",
        f"trap '' TERM; sleep 300 & echo $! > {tmp_path}/child; while :; do sleep 1; done",
    )
    before = time.monotonic()

    reply = sender(program, timeout_s=3.0).send(notice())

    assert isinstance(reply, TemporaryFailure)
    assert time.monotonic() - before < 150  # and not as long as the child sleeps
    assert has_gone(tmp_path / "child")


def test_program_that_cannot_be_ended_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One that became another user, by sudo or a setuid bit: nobody waits for it without limit."""
    real = os.killpg

    def refuse(group: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "killpg", refuse)
    monkeypatch.setattr("daemon.hooks.commands.GRACE_S", 0.1)
    asked = sender(script(tmp_path / "hook", "exec sleep 30"), timeout_s=0.1)
    began = time.monotonic()
    reply = asked.send(notice())
    took_s = time.monotonic() - began
    [left] = asked.unended
    real(left.pid, signal.SIGKILL)
    left.wait()

    assert isinstance(reply, TemporaryFailure)
    assert "cannot be ended, perhaps because it runs as another user" in reply.reason
    assert took_s < 20


def test_what_is_left_behind_ends(tmp_path: Path):
    """A child in the background that holds the pipe open neither delays us nor stays."""
    program = script(tmp_path / "hook", f"sleep 300 & echo $! > {tmp_path}/child; exit 0")
    before = time.monotonic()

    assert Accepted() == sender(program).send(notice())
    assert time.monotonic() - before < 150  # and not as long as the child sleeps
    assert has_gone(tmp_path / "child")


def test_stop_of_the_daemon_interrupts(tmp_path: Path):
    """At once, and blames nobody."""
    program = script(tmp_path / "hook", f"touch {tmp_path}/begun; sleep 300")
    hanging, replies = sender(program), []
    thread = threading.Thread(target=lambda: replies.append(hanging.send(notice())))
    thread.start()
    assert wait_for((tmp_path / "begun").exists, patience_s=50)

    hanging.abort()
    thread.join(50)

    assert [Interrupted()] == replies


def test_program_that_has_gone_is_waited_for(tmp_path: Path):
    """An upgrade may be putting it there just now."""
    reply = sender(tmp_path / "gone").send(notice())

    assert isinstance(reply, TemporaryFailure)
    assert reply.max_attempts is None
    assert "gone cannot be started: FileNotFoundError" in reply.reason


def test_nothing_is_left_open(tmp_path: Path):
    """Months of hooks must not use up what the process may have open."""
    program = script(tmp_path / "hook", "exit 1")
    one = sender(program)
    one.send(notice())
    before = left_open()
    for number in range(20):
        one.send(notice(number))

    assert left_open() == before


def left_open() -> tuple[int, set[str]]:
    """How many descriptors this process has, and which children, those of other tests too."""
    children = (each.read_text() for each in Path("/proc/self/task").glob("*/children"))
    return open_count(), set(" ".join(children).split())


def test_signals_are_as_usual(tmp_path: Path):
    """Python ignores SIGPIPE; a program in a pipeline must not."""
    program = script(tmp_path / "hook", f"grep SigIgn /proc/$$/status > {tmp_path}/ignored")

    sender(program).send(notice())

    ignored = int((tmp_path / "ignored").read_text().split()[1], 16)
    assert ignored & 1 << (signal.SIGPIPE - 1) == 0
