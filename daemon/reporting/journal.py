"""The log: journal entries with fields under systemd, lines on standard error elsewhere."""

import json
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

logger = logging.getLogger(__name__)

#: Extra fields of a log line (`extra=`); documented in `docs/systemd.md`.
FIELDS = (
    "MESSAGE_ID",
    "HOT_FOLDER",
    "JOB",
    "SOURCE",
    "TARGET",
    "STAGE",
    "DURATION_MS",
    "ERROR",
    "HOOK",
    "NODE",
    "DEVICE",
)
#: What systemd-python adds.
STANDARD = ("PRIORITY", "LOGGER", "THREAD_NAME", "CODE_FILE", "CODE_LINE", "CODE_FUNC")
IDENTIFIER = "cvunetd"
PLAIN = "%(asctime)s %(levelname)s %(name)s: %(message)s"
PREFIXED = "%(name)s: %(message)s"  # the journal has time and level of its own

#: So many equal warnings are logged in this time; more are only counted.
BURST = 10
WINDOW_S = 60.0

Send = Callable[..., object]


def fields_of(record: logging.LogRecord) -> dict[str, str]:
    """Return a line's extra fields."""
    found = vars(record)
    return {name: str(found[name]) for name in FIELDS if name in found}


def encodable(text: str) -> str:
    """Return text that UTF-8 can encode: a file's name may hold other bytes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


# --- under systemd -----------------------------------------------------------------------------


def is_journal() -> bool:
    """Whether standard error goes to the journal; other processes inherit the variable, too."""
    status = os.fstat(sys.stderr.fileno())
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def find_handler() -> logging.Handler | None:
    """Return systemd-python's handler, sending our fields; None without the extra."""
    try:
        from systemd import journal
    except ImportError:
        return None
    handler: logging.Handler = journal.JournalHandler(
        sender_function=field_sender(journal.send), SYSLOG_IDENTIFIER=IDENTIFIER
    )
    handler.setFormatter(logging.Formatter("%(message)s"))  # the logger is a field
    return handler


def field_sender(send: Send) -> Send:
    """Return a sender that keeps only the fields with a meaning."""

    def send_fields(message: str, /, **values: object) -> None:
        line = values.pop("CODE_LINE", None)
        kept = {
            name: encodable(str(values[name]))
            for name in (*FIELDS, *STANDARD, "SYSLOG_IDENTIFIER")
            if name in values
        }
        send(encodable(message), **kept, **({} if line is None else {"CODE_LINE": line}))

    return send_fields


class PrefixFormatter(logging.Formatter):
    """Without systemd-python: each line begins with its level as the journal reads it."""

    PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))

    def format(self, record: logging.LogRecord) -> str:
        """Prefix all lines, also those of a traceback."""
        levels = (number for level, number in self.PRIORITIES if record.levelno >= level)
        prefix = f"<{next(levels, 7)}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines())


# --- elsewhere ---------------------------------------------------------------------------------


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, then the extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a line without line breaks."""
        content: dict[str, Any] = {  # Any: JSON
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": encodable(record.getMessage()),
        }
        content |= {name: encodable(value) for name, value in fields_of(record).items()}
        if record.exc_info:
            content["exception"] = encodable(self.formatException(record.exc_info))
        return json.dumps(content, ensure_ascii=False)


# --- repeated warnings -------------------------------------------------------------------------


@dataclass(slots=True)
class RepeatCount:
    """How many equal warnings came since a moment, UTC seconds."""

    since: float
    lines: int = 0


class RepeatFilter(logging.Filter):
    """Lets an equal warning pass a few times a minute; the next one says how many were left out.

    Equal means: the same place in the code and the same folder. A line with a message id always
    passes: it is about one picture, or an alert depends on it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[tuple[str, str, str], RepeatCount] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return False for a line that is left out."""
        if record.levelno < logging.WARNING or "MESSAGE_ID" in vars(record):
            return True
        key = (record.name, str(record.msg), str(vars(record).get("HOT_FOLDER", "")))
        count = self.counts.setdefault(key, RepeatCount(record.created))
        if not 0 <= record.created - count.since < WINDOW_S:
            left_out = count.lines - BURST
            if left_out > 0:
                # Appended to the message: a line of its own would have to be limited, too.
                record.msg = f"{record.getMessage()} (and {left_out} more like this before)"
                record.args = ()
            count.since, count.lines = record.created, 0
        count.lines += 1
        return count.lines <= BURST


# --- both --------------------------------------------------------------------------------------


def open_handler(form: str) -> logging.Handler:
    """Return where lines go. ``form``: auto, plain or json, as in ``log.format``."""
    is_ours = is_journal()
    handler = find_handler() if is_ours and form == "auto" else None
    if handler is not None:
        return handler
    handler = logging.StreamHandler(sys.stderr)
    if form == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(PrefixFormatter(PREFIXED) if is_ours else logging.Formatter(PLAIN))
    return handler


def start(level: str, form: str) -> None:
    """Start to log at a level: debug, info, warning or error."""
    handler = open_handler(form)
    handler.addFilter(RepeatFilter())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    if is_journal() and form == "auto" and isinstance(handler, logging.StreamHandler):
        logger.info("systemd-python is missing: the journal gets these lines without fields")


def set_level(level: str) -> None:
    """Use another level from now on."""
    logging.getLogger().setLevel(level.upper())
