"""One SQLite file: opened with care, transactions, SQLite's errors turned into ours."""

import os
import sqlite3
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from daemon.errors import InstallError, LedgerError

BUSY_S = 10.0
#: The daemon's group may ask; nobody else.
MODE = 0o640
JOURNAL_BYTES = 16 * 1024 * 1024
#: Pages that one clean-up gives back to the disk; the next one continues.
SHRINK_PAGES = 1000
PRIMARY_CODE = 0xFF  # the other bits of a code say which system call failed
DAMAGED = "move it away; nothing is lost: pictures that are claimed are taken up again"
#: What a person can do about a file that is wrong. Our statements are right: one that SQLite does
#: not understand met a damaged schema.
ADVICE = dict.fromkeys(
    (
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_FORMAT,
        sqlite3.SQLITE_INTERNAL,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_SCHEMA,
        sqlite3.SQLITE_TOOBIG,
    ),
    DAMAGED,
)
#: What Python says of text that is none; it has no code.
NO_TEXT = "Could not decode"
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
#: Of the first look, if a journal is needed and cannot be made.
NO_JOURNAL = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})
Row = sqlite3.Row
Connection = sqlite3.Connection
Version = tuple[int, int]
NO_VERSION = (-1, -1)
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
        if str(error).startswith(NO_TEXT):
            raise InstallError(f"{path}: {error}: {DAMAGED}") from error
        raise
    except UnicodeDecodeError as error:  # the very message of SQLite holds damaged text
        raise InstallError(f"{path}: its schema is no text: {DAMAGED}") from error


def connect(path: Path, options: str = "") -> Connection:
    """Open a file; we begin its transactions ourselves. ``options``: as in SQLite's addresses."""
    address = f"{path.absolute().as_uri()}{options}"
    db = sqlite3.connect(address, uri=True, timeout=BUSY_S, isolation_level=None)
    db.row_factory = Row
    return db


def connect_to_read(path: Path) -> tuple[Connection, Version | None]:
    """Open a file that is only read; also return its version if nobody may write to it meanwhile.

    A daemon that has ended takes its journal away. SQLite would make one anew, which a user who may
    only read the folder cannot do. Without a journal the file itself is all there is. If the
    journal went just now, the version is `NO_VERSION`: the next question opens the file anew.
    """
    version = version_of(path)
    db = connect(path, "?mode=ro")
    try:
        db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError as error:
        db.close()
        code = error.sqlite_errorcode & PRIMARY_CODE
        if code not in NO_JOURNAL or os.path.lexists(journal_of(path)):
            raise
        return connect(path, "?mode=ro&immutable=1"), version or NO_VERSION
    except BaseException:
        db.close()
        raise
    return db, None


def journal_of(path: Path) -> Path:
    """Return where SQLite keeps what is not in the file itself yet."""
    return path.with_name(f"{path.name}-wal")


def make_private(path: Path) -> None:
    """Make the file before SQLite does, or close it to others; its journals get the same mode.

    What is in the way is told when it is opened.
    """
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
        try:
            os.fchmod(descriptor, stat.S_IMODE(os.fstat(descriptor).st_mode) & MODE)
        finally:
            os.close(descriptor)


def inode_of(path: Path) -> tuple[int, int] | None:
    """Device and inode; None if nothing is there, or it is out of reach."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def version_of(path: Path) -> Version | None:
    """Return what changes if somebody writes to a file without a journal; None if there is one."""
    if os.path.lexists(journal_of(path)):
        return None
    with suppress(OSError):
        status = path.stat()
        return status.st_size, status.st_mtime_ns
    return None


class Database:
    """One file, one owner."""

    def __init__(self, path: Path, *, is_read_only: bool = False) -> None:
        """Open or create; `InstallError` if the file is damaged or cannot be opened."""
        self.path = path
        self.is_begun = False
        self.version: Version | None = None
        """Of a file that nobody wrote to when it was opened, and that is read without a journal."""
        self.open_file(is_read_only=is_read_only)

    def open_file(self, *, is_read_only: bool) -> None:
        """Open what has the path now."""
        if not is_read_only:
            make_private(self.path)
        with translated_errors(self.path, OPENING):
            if is_read_only:
                self.db, self.version = connect_to_read(self.path)
            else:
                self.db, self.version = connect(self.path), None
            self.inode = inode_of(self.path)
            try:
                self.prepare(is_read_only=is_read_only)
            except BaseException:
                self.close()
                raise

    def reopen(self) -> None:
        """Let go of a file that was deleted or replaced, and make or open what has its path."""
        self.close()
        self.open_file(is_read_only=False)

    def is_in_place(self) -> bool:
        """The file that we have open still has its path; and nobody writes, if that was so."""
        if self.version is not None and version_of(self.path) != self.version:
            return False
        return inode_of(self.path) == self.inode

    def check_in_place(self) -> None:
        """`LedgerError` if it has not: what we would write, nobody would find again."""
        if not self.is_in_place():
            raise LedgerError(
                f"{self.path} was deleted or replaced under the running daemon: put it back, or"
                " make its folder anew"
            )

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
        """Change all or nothing.

        Nested ones join the outer one, so that one tick can share one commit.

        `LedgerError` means that the disk fails. Then nothing has changed; or, if only the answer to
        the commit was lost, everything has: check before you try again.
        """
        if self.is_begun:
            with translated_errors(self.path):
                yield self.db
            return
        self.check_in_place()
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
