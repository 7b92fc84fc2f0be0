"""Whether a kept original was taken already: only its row stops it from being taken again."""

from pathlib import Path

from daemon.disk import inode_numbers
from daemon.jobs import Identity
from daemon.ledger.records import Records


def is_taken(records: Records, identity: Identity, path: Path) -> bool:
    """Whether this version was taken; where inode numbers do not last, size and time decide."""
    if records.knows_version(identity, path):
        return True
    return records.knows_time(identity, path) and not inode_numbers.are_lasting(identity.device)
