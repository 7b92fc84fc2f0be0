"""One SQLite file: opened with care, transactions, SQLite's errors turned into ours."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daemon.errors import InstallError, LedgerError

BUSY_S = 10.0
JOURNAL_BYTES = 16 * 1024 * 1024
#: Pages that one clean-up gives back to the disk; the next one continues.
SHRINK_PAGES = 1000
PRIMARY_CODE = 0xFF  # the other bits of a code say which system call failed
DAMAGED = "move it away; pictures that are claimed are taken up again"
#: What a person can do about a file that is damaged.
ADVICE = {sqlite3.SQLITE_NOTADB: DAMAGED, sqlite3.SQLITE_CORRUPT: DAMAGED}
#: And about one that cannot be opened.
OPENING = ADVICE | {
    sqlite3.SQLITE_CANTOPEN: "check that it may be read and written by this user",
}
#: Temporary errors, or errors that end when somebody makes room.
PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
Row = sqlite3.Row
Connection = sqlite3.Connection
Values = Sequence[Any] | Mapping[str, Any]  # Any: what columns hold


@contextmanager
def translated_errors(path: Path, advice: Mapping[int, str] = ADVICE) -> Iterator[None]:
    """Raise `InstallError` if a person is needed, `LedgerError` if the disk fails."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = (getattr(error, "sqlite_errorcode", None) or 0) & PRIMARY_CODE
        if code in advice:
            raise InstallError(f"{path}: {error}: {advice[code]}") from error
        if code in PASSING:
            raise LedgerError(f"{path}: {error}") from error
        raise


def connect(path: Path, *, is_read_only: bool) -> Connection:
    """Open a file; we begin its transactions ourselves."""
    if is_read_only:
        address = f"{path.absolute().as_uri()}?mode=ro"
        db = sqlite3.connect(address, uri=True, timeout=BUSY_S, isolation_level=None)
    else:
        db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    db.row_factory = Row
    return db


class Database:
    """One file, one owner."""

    def __init__(self, path: Path, *, is_read_only: bool = False) -> None:
        """Open or create; `InstallError` if the file is damaged or cannot be opened."""
        self.path = path
        self.is_begun = False
        with translated_errors(path, OPENING):
            self.db = connect(path, is_read_only=is_read_only)
            try:
                self.prepare(is_read_only=is_read_only)
            except BaseException:
                self.close()
                raise

    def prepare(self, *, is_read_only: bool) -> None:
        """Set the file's options, before its first use."""
        if is_read_only:
            return
        # Only a new file obeys this; an older one reuses its free pages.
        self.db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        self.db.execute("PRAGMA foreign_keys = ON")
        self.db.execute(f"PRAGMA journal_size_limit = {JOURNAL_BYTES}")

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    def is_in_transaction(self) -> bool:
        """Whether a transaction has begun and is not committed yet."""
        return self.is_begun

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """All or nothing. Nested ones join the outer one, so that one tick can share one commit.

        `LedgerError` means that the disk fails. Then nothing has changed; or, if only the answer to
        the commit was lost, everything has: check before you try again.
        """
        if self.is_begun:
            with translated_errors(self.path):
                yield self.db
            return
        with translated_errors(self.path):
            self.roll_back()  # left over if an earlier error prevented the rollback
            self.is_begun = True
            try:
                self.db.execute("BEGIN IMMEDIATE")
                yield self.db
                self.db.execute("COMMIT")
            except BaseException:
                self.roll_back()
                raise
            finally:
                self.is_begun = False

    def roll_back(self) -> None:
        """Undo what is not committed; after a full disk SQLite has often done so already."""
        if self.db.in_transaction:
            self.db.execute("ROLLBACK")

    def rows(self, query: str, values: Values = ()) -> list[Row]:
        """Return all rows of a query; `LedgerError` as above."""
        with translated_errors(self.path):
            return self.db.execute(query, values).fetchall()

    def first(self, query: str, values: Values = ()) -> Row | None:
        """Return the first row of a query, or None."""
        with translated_errors(self.path):
            row: Row | None = self.db.execute(query, values).fetchone()
            return row

    def check_readable(self) -> None:
        """Read something; `LedgerError` if that fails; does not return if the disk hangs."""
        self.first("SELECT count(*) FROM sqlite_schema")

    def check_writable(self) -> None:
        """Raise `LedgerError` if nothing can be committed; rewrites a value that is there already.

        The journal is emptied first, which may free enough room.
        """
        with translated_errors(self.path):
            self.roll_back()  # inside a transaction the journal cannot be emptied
        self.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        version = self.rows("PRAGMA user_version")[0][0]
        with self.transaction() as db:
            db.execute(f"PRAGMA user_version = {version}")

    def shrink(self) -> None:
        """Give some free pages of deleted rows back to the disk."""
        with translated_errors(self.path):
            # `execute` would stop after the first page.
            self.db.executescript(f"PRAGMA incremental_vacuum({SHRINK_PAGES})")
