"""The claim folder that we made in each hot folder: the table ``claim_folders`` of the ledger."""

from dataclasses import dataclass
from pathlib import Path

from daemon.ledger.ledger import Ledger, as_bytes


@dataclass(frozen=True, slots=True)
class ClaimFolder:
    """Which folder it is, by inode numbers."""

    inode: int
    root_inode: int
    """Of the hot folder."""


class ClaimFolders:
    """Remembers them over restarts; nobody else writes the table."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.known: dict[Path, ClaimFolder] = {}

    def of(self, root: Path) -> ClaimFolder | None:
        """What is noted of a hot folder; None before its first claim folder."""
        if root not in self.known:
            row = self.ledger.first(
                "SELECT inode, root_inode FROM claim_folders WHERE path = ?", (as_bytes(root),)
            )
            if row is None:
                return None
            self.known[root] = ClaimFolder(*row)
        return self.known[root]

    def note(self, root: Path, made: ClaimFolder) -> None:
        """The claim folder of a hot folder is this one from now on."""
        with self.ledger.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO claim_folders VALUES (?, ?, ?)",
                (as_bytes(root), made.inode, made.root_inode),
            )
        self.known[root] = made
