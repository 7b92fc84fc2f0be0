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

#: What a line may carry beside its text (`extra=`); documented in `docs/systemd.md`.
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
)
#: What systemd-python adds.
STANDARD = ("PRIORITY", "LOGGER", "THREAD_NAME", "CODE_FILE", "CODE_LINE", "CODE_FUNC")
IDENTIFIER = "cvunetd"
PLAIN = "%(asctime)s %(levelname)s %(name)s: %(message)s"
PREFIXED = "%(name)s: %(message)s"  # the journal has time and level of its own

#: So often the same complaint is told in a while; then it is only counted.
BURST = 10
WINDOW_S = 60.0

Send = Callable[..., object]


def fields_of(record: logging.LogRecord) -> dict[str, str]:
    """A line's fields."""
    found = vars(record)
    return {name: str(found[name]) for name in FIELDS if name in found}


def encodable(text: str) -> str:
    """A file's name may be no text at all."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


# --- under systemd -----------------------------------------------------------------------------


def is_journal() -> bool:
    """Standard error goes to the journal; the variable alone is inherited by others, too."""
    status = os.fstat(sys.stderr.fileno())
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def find_handler() -> logging.Handler | None:
    """systemd-python's handler, sending our fields; None without the extra."""
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
    """The handler gives every attribute of a record; the journal shall get what means something."""

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
        """All lines, those of a traceback too."""
        levels = (number for level, number in self.PRIORITIES if record.levelno >= level)
        prefix = f"<{next(levels, 7)}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines())


# --- elsewhere ---------------------------------------------------------------------------------


class JsonFormatter(logging.Formatter):
    """One object a line: time (UTC), level, logger, message, then the fields under their names."""

    def format(self, record: logging.LogRecord) -> str:
        """A line without line breaks."""
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


# --- the same thing over and over --------------------------------------------------------------


@dataclass(slots=True)
class RepeatCount:
    """How often a complaint was made since a moment, UTC seconds."""

    since: float
    lines: int = 0


class RepeatFilter(logging.Filter):
    """Lets a complaint through a few times a minute; the next one tells how many were left out.

    The same complaint: the same place in the code, about the same folder. What has a message id
    always passes: it is somebody's picture, or somebody's alert.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[tuple[str, str, str], RepeatCount] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a line that is left out."""
        if record.levelno < logging.WARNING or "MESSAGE_ID" in vars(record):
            return True
        key = (record.name, str(record.msg), str(vars(record).get("HOT_FOLDER", "")))
        count = self.counts.setdefault(key, RepeatCount(record.created))
        if not 0 <= record.created - count.since < WINDOW_S:
            left_out = count.lines - BURST
            if left_out > 0:
                # As the message's last words: a line of its own would have to be repeated, too.
                record.msg = f"{record.getMessage()} (and {left_out} more like this before)"
                record.args = ()
            count.since, count.lines = record.created, 0
        count.lines += 1
        return count.lines <= BURST


# --- both --------------------------------------------------------------------------------------


def open_handler(form: str) -> logging.Handler:
    """Where lines go. ``form``: auto, plain or json, as in ``log.format``."""
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
    """Begin to log at a level: debug, info, warning or error."""
    handler = open_handler(form)
    handler.addFilter(RepeatFilter())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    if is_journal() and form == "auto" and isinstance(handler, logging.StreamHandler):
        logger.info("systemd-python is missing: the journal gets these lines without fields")


def set_level(level: str) -> None:
    """Another level from now on."""
    logging.getLogger().setLevel(level.upper())
