"""The log's three forms."""

import json
import logging

import pytest

from daemon.reporting import journal


def record(text: str = "done %s", *arguments: object, level: int = logging.INFO, **fields: object):
    """A line as a logger makes it."""
    made = logging.LogRecord("daemon.x", level, "x.py", 7, text, arguments, None)
    made.__dict__.update(fields)
    return made


def test_json_line():
    """Text and fields, whatever a file is called."""
    line = journal.JsonFormatter().format(record("done %s", "\udcff\n", JOB="7", ERROR="a\nb"))

    content = json.loads(line)
    assert "\n" not in line
    assert (content["level"], content["logger"], content["JOB"]) == ("info", "daemon.x", "7")
    assert content["ERROR"] == "a\nb"
    assert content["message"] == "done \\udcff\n"
    assert content["time"].endswith("+00:00")


@pytest.mark.systemd
def test_journal_gets_our_fields_alone():
    """Not every attribute of a record, and nothing that cannot be encoded."""
    from systemd.journal import JournalHandler

    sent: list[tuple[str, dict[str, object]]] = []

    def send(message: str, **fields: object) -> None:
        sent.append((message, fields))

    handler = JournalHandler(
        sender_function=journal.field_sender(send), SYSLOG_IDENTIFIER="cvunetd"
    )
    handler.handle(record("done %s", "\udcff", JOB="7", DURATION_MS="12", MESSAGE_ID="abc"))

    [(message, fields)] = sent
    assert message == "done \\udcff"
    assert fields["CODE_LINE"] == 7
    assert {"JOB", "DURATION_MS", "MESSAGE_ID"} <= set(fields)
    assert set(fields) <= {*journal.FIELDS, *journal.STANDARD, "SYSLOG_IDENTIFIER"}


def test_prefix_has_the_level_on_every_line():
    """The journal reads it where systemd-python is missing."""
    formatter = journal.PrefixFormatter("%(message)s")

    assert formatter.format(record("a\nb", level=logging.ERROR)) == "<3>a\n<3>b"


def passed(
    repeats: journal.RepeatFilter, times: int, *, at: float = 0.0, **fields: object
) -> list[str]:
    """Which of so many equal complaints pass."""
    lines = [record("bad %s", number, level=logging.WARNING, **fields) for number in range(times)]
    for line in lines:
        line.created = at
    return [line.getMessage() for line in lines if repeats.filter(line)]


def test_repeated_complaint_is_counted():
    """Ten pass; the next window's first one tells of the rest."""
    repeats = journal.RepeatFilter()
    first, second = passed(repeats, 25), passed(repeats, 1, at=61.0)

    assert len(first) == journal.BURST == 10
    assert second == ["bad 0 (and 15 more like this before)"]


def test_complaints_of_folders_are_told_apart():
    """Each has its own allowance; what has a message id always passes."""
    repeats = journal.RepeatFilter()

    assert len(passed(repeats, 20, HOT_FOLDER="a")) == 10
    assert len(passed(repeats, 20, HOT_FOLDER="b")) == 10
    assert len(passed(repeats, 20, MESSAGE_ID="abc")) == 20
