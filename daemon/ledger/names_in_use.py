"""Which names in output folders jobs hold: one key for all spellings that other systems mix up."""

import os
from pathlib import Path
from typing import Any

from daemon.ledger.database import Database
from daemon.portable_names import name_key

#: Columns with a path in a drop; beside each is its key.
NAMED = ("target", "alpha", "review", "archive")


def key_of(stored: bytes | None) -> bytes | None:
    """Return the key of a stored path; in SQL ``name_key``, for the upgrade."""
    return None if stored is None else name_key(stored)


def with_keys(columns: dict[str, Any]) -> dict[str, Any]:  # Any: column values
    """Return the columns of a row, and the keys of all names among them."""
    keys = {f"{name}_key": key_of(columns[name]) for name in NAMED if name in columns}
    return columns | keys


class NamesInUse:
    """The names of some jobs: all that have not failed, or fewer."""

    def __init__(self, ledger: Database, *, condition: str = "1") -> None:
        """``condition``: in SQL, for jobs that have not failed."""
        self.ledger = ledger
        # SQLite uses a partial index only if the condition of the index stands in the query.
        alive = f"state <> 'failed' AND {condition}"
        # A replaced result has given up its names, but not its original's.
        where = dict.fromkeys(NAMED, f"{alive} AND replaced_by IS NULL") | {"archive": alive}
        same = (
            f"SELECT {name} FROM jobs WHERE {name}_key = :key AND {where[name]}" for name in NAMED
        )
        # A mask lies beside its result.
        below = {
            name: f"SELECT {name} AS path FROM jobs WHERE {name}_key > :first"
            f" AND {name}_key < :last AND {where[name]}"
            for name in NAMED
            if name != "alpha"
        }
        files = " UNION ALL ".join(same)
        self.holders = " UNION ALL ".join([files, *below.values()])
        # All names below a folder have its spelling: one of them tells it.
        other = (
            f"SELECT path FROM ({query} LIMIT 1) WHERE substr(path, 1, length(:path)) <> :path"
            for query in below.values()
        )
        self.folder_holders = " UNION ALL ".join([files, *other])

    def holder(self, path: Path) -> Path | None:
        """Return what holds a file's name: a job's file, or one in a folder that has the name."""
        return self.find(self.holders, path)

    def blocks_folder(self, path: Path) -> bool:
        """Whether a folder may not have this name: a file has it, or a folder spelled otherwise."""
        return self.find(self.folder_holders, path) is not None

    def find(self, query: str, path: Path) -> Path | None:
        """Return the first path that a query finds."""
        stored = os.fsencode(path)
        key = name_key(stored)
        values = {
            "key": key,
            "first": key + b"/",
            "last": key + b"0",  # the byte after the slash
            "path": stored + b"/",
        }
        row = self.ledger.first(query, values)
        return None if row is None else Path(os.fsdecode(row[0]))
