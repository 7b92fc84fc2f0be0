"""What is known of a picture that was lost: told with the table, so that no reason is forgotten."""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from daemon.commands import why

#: Lines of the log before and after each one that names the picture.
CONTEXT = 3
#: More lines of the log are not shown for one picture: the whole log is kept.
MOST_LINES = 120


def base_of(*folders: Path) -> Path:
    """Return the folder that holds state, log and configuration of a case."""
    return Path(os.path.commonpath(folders))


def told(base: Path, content: str, verdict: str, places: Iterable[Path]) -> str:
    """Return everything that is known of one content, as lines.

    ``content``: its digest. ``places``: where it lies now.
    """
    places = list(places)
    lines = [f"{verdict}: {content[:16]}", *(f"  it lies at {path}" for path in places)]
    rows = list(rows_of(base / "state/ledger.db", content, places))
    for path in places:
        lines += reason_of(path)
    for row in rows:
        lines.append(f"  ledger: {row}")
    for path in places:
        lines += [f"  why {path.name}: {line}" for line in asked(base, path)]
    words = {str(row["id"]) for row in rows} | {str(row["relative"]) for row in rows}
    lines += [f"  log: {line}" for line in around(base / "log", words)]
    return "\n".join(lines)


def reason_of(path: Path) -> Iterator[str]:
    """Yield the content of the file beside a rejected picture."""
    reason = path.with_name(f"{path.name}.json")
    if reason.exists():
        yield f"  reason: {' '.join(reason.read_text().split())}"


def rows_of(ledger: Path, content: str, places: Iterable[Path]) -> Iterator[dict[str, object]]:
    """Yield the rows of a content: by its digest if it was read, else by where it lies."""
    if not ledger.exists():
        return
    known = {os.fsencode(path) for path in places}
    with closing(sqlite3.connect(f"{ledger.absolute().as_uri()}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        for row in db.execute("SELECT * FROM jobs ORDER BY added_at"):
            paths = {row[name] for name in ("source", "archive", "quarantine")}
            if known & paths or json.loads(row["details"]).get("sha256") == content:
                yield {key: shown(row[key]) for key in row.keys() if row[key] not in (None, "")}  # noqa: SIM118


def shown(value: object) -> object:
    """Return a column for people."""
    return os.fsdecode(value) if isinstance(value, bytes) else value


def asked(base: Path, path: Path) -> list[str]:
    """Return what `cvunetd why` says; its own failure is no reason to say nothing else."""
    config = base / "config.yaml"
    if not config.exists():
        return []
    try:
        return list(why.lines(config, path))
    except Exception as error:  # noqa: BLE001  # a report about a failure must not fail itself
        return [f"it failed: {error!r}"]


def around(log: Path, words: set[str]) -> list[str]:
    """Return the lines of the log that name the picture, with those around them."""
    if not log.exists() or not words:
        return []
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    wanted = sorted(
        {
            near
            for number, line in enumerate(lines)
            if any(word in line for word in words)
            for near in range(number - CONTEXT, number + CONTEXT + 1)
            if 0 <= near < len(lines)
        }
    )
    found = [f"{number + 1}: {lines[number]}" for number in wanted]
    left_out = len(found) - MOST_LINES
    return found if left_out <= 0 else [*found[:MOST_LINES], f"({left_out} more lines)"]
