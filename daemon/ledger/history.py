"""Questions to the ledger about what was done: search by name, review, speed."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from daemon.ledger.ledger import Ending, Ledger
from daemon.ledger.records import ending_of
from daemon.portable_names import folded

MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which ended pictures are asked for; what is None does not matter."""

    text: str | None = None
    """A part of the original's or the result's name; upper and lower case are the same."""
    state: str | None = None
    """``done``, ``failed``, or ``doubtful``: done, and for review."""
    folder: str | None = None
    """The name of a hot folder."""
    drop: int | None = None
    before: str | None = None
    """The id of a job: only older ones."""


class History:
    """Reads; changes nothing."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def search(self, wanted: Wanted, *, limit: int) -> list[Ending]:
        """Return ended pictures, the newest first; none whose result was replaced.

        A search by name looks at each row: 100,000 take about 0.2 s. So ask in a thread, by a
        connection of its own.
        """
        conditions, values = conditions_of(wanted)
        if wanted.text:
            needle = folded(wanted.text)
            self.ledger.db.create_function(
                "has_text", 2, lambda *paths: has_text(paths, needle), deterministic=True
            )
            conditions.append("has_text(relative, target)")
        query = f"SELECT * FROM jobs WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT ?"
        return [ending_of(row) for row in self.ledger.rows(query, [*values, limit])]

    def count_doubtful(self) -> int:
        """Return how many results are for review."""
        row = self.ledger.first(
            "SELECT count(*) FROM jobs WHERE review_key IS NOT NULL AND +state = 'done'"
            " AND replaced_by IS NULL"
        )
        assert row is not None
        return int(row[0])

    def by_minute(self, since: float) -> list[tuple[int, str, int]]:
        """Return minute after ``since`` (UTC seconds), state, and count of ended pictures."""
        rows = self.ledger.rows(
            "SELECT CAST((ended_at - ?1) / ?2 AS INTEGER) AS minute, state, count(*) AS jobs"
            " FROM jobs WHERE state IN ('done', 'failed') AND ended_at >= ?1"
            " GROUP BY minute, state ORDER BY minute",
            (since, MINUTE_S),
        )
        return [(row["minute"], row["state"], row["jobs"]) for row in rows]


def conditions_of(wanted: Wanted) -> tuple[list[str], list[Any]]:  # Any: column values
    """Return conditions in SQL, and the values in them.

    ``+state`` keeps SQLite from its index of states: it would sort all rows to return a few.
    """
    conditions: list[str] = ["replaced_by IS NULL"]
    values: list[Any] = []  # Any: column values
    match wanted.state:
        case None:
            conditions.append("+state IN ('done', 'failed')")
        case "doubtful":
            conditions.append("+state = 'done' AND review_key IS NOT NULL")
        case "failed":
            conditions.append("state = 'failed'")
        case state:
            conditions.append("+state = ?")
            values.append(state)
    asked = {"folder = ?": wanted.folder, "drop_id = ?": wanted.drop, "id < ?": wanted.before}
    for condition, value in asked.items():
        if value is not None:
            conditions.append(condition)
            values.append(value)
    return conditions, values


def has_text(paths: Sequence[bytes], needle: str) -> bool:
    """Whether a text is part of an original's path below its folder, or of a result's name."""
    relative, target = paths
    name = target[target.rfind(b"/") + 1 :]
    return any(needle in folded(os.fsdecode(each)) for each in (relative, name))
