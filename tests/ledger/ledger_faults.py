"""A connection to SQLite that fails when it is told to, as a full or dying disk does."""

import sqlite3
from dataclasses import dataclass, field
from typing import Any

import pytest

from daemon.ledger import database

CODES = (
    (sqlite3.SQLITE_FULL, "database or disk is full"),
    (sqlite3.SQLITE_IOERR, "disk I/O error"),
    (sqlite3.SQLITE_READONLY, "attempt to write a readonly database"),
)


@dataclass
class Faults:
    """Which statements fail: after so many that went well, so many in a row."""

    well: int | None = None
    """None: all of them."""
    ill: int = 1
    is_done_first: bool = False
    """The statement is carried out, but its answer is lost."""
    reads_too: bool = False
    passed: list[str] = field(default_factory=list)

    def begin(
        self, well: int, *, ill: int = 1, is_done_first: bool = False, reads_too: bool = False
    ) -> None:
        """Trouble lies ahead."""
        self.well, self.ill = well, ill
        self.is_done_first, self.reads_too = is_done_first, reads_too

    def pass_by(self, statement: str) -> bool:
        """Count a statement; whether it fails."""
        if not self.reads_too and statement.startswith(("SELECT", "PRAGMA")):
            return False
        self.passed.append(statement)
        if self.well is None:
            return False
        if self.well > 0:
            self.well -= 1
            return False
        self.ill -= 1
        if self.ill == 0:
            self.well = None
        return True

    def error(self) -> sqlite3.OperationalError:
        """What SQLite says; each time something else."""
        code, text = CODES[len(self.passed) % len(CODES)]
        error = sqlite3.OperationalError(text)
        error.sqlite_errorcode = code
        return error


class FaultyConnection:
    """Stands for a connection; only what the ledger uses of it."""

    def __init__(self, real: sqlite3.Connection, faults: Faults) -> None:
        self.real = real
        self.faults = faults
        self.executescript = real.executescript
        self.create_function = real.create_function
        self.close = real.close

    @property
    def in_transaction(self) -> bool:
        """Whatever has failed, the truth."""
        return self.real.in_transaction

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        """One statement, which may fail before or after it has been carried out."""
        if not self.faults.pass_by(statement):
            return self.real.execute(statement, *values)
        if self.faults.is_done_first:
            self.real.execute(statement, *values).fetchall()
        raise self.faults.error()


def inject(monkeypatch: pytest.MonkeyPatch) -> Faults:
    """All ledgers that are opened from now on fail as the faults say."""
    faults, connect = Faults(), database.connect

    def faulty(*arguments: Any, **settings: Any) -> FaultyConnection:
        return FaultyConnection(connect(*arguments, **settings), faults)

    monkeypatch.setattr(database, "connect", faulty)
    return faults
