"""What a run is made from, so that its weights can be made again."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from cvunet.training import shards


@dataclass(frozen=True, slots=True)
class Origin:
    """Code and data, by their hashes."""

    commit: str
    """Empty where the code lies in no git checkout; ends in ``+`` if it was changed since."""
    data: dict[str, str]
    """SHA-256 of every training shard, by its name."""


def find(data: Path) -> Origin:
    """The origin of a run that begins now on the shards of ``data``."""
    return Origin(
        commit=commit(Path(__file__).parent),
        data={shard.name: shards.sha256(shard) for shard in sorted(data.glob("*-train-*.tar"))},
    )


def commit(folder: Path) -> str:
    """The commit that is checked out there."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:  # there is no git at all
        return ""
    return done.stdout.strip()
