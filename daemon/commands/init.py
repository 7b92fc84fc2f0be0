"""`cvunetd init`: a configuration to begin with, and the folders that it names."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from daemon.config import folders as hot_folders
from daemon.config import schema as configuration
from daemon.config import shipped_files
from daemon.config.models import find_weights
from daemon.config.schema import Config
from daemon.disk import files, moves
from daemon.errors import InstallError, UsageError, explain, printable

NAME = Path("config.yaml")


def init(folder: Path) -> Iterator[str]:
    """Write the shipped configuration and make its folders; yield what was done, and what is next.

    `UsageError` if there is a configuration: it stays as it is.
    """
    place = folder.expanduser().resolve()
    target = place / NAME
    if target.exists() or target.is_symlink():
        raise UsageError(
            f"{printable(target)} is there already and stays as it is: check it with"
            f" `cvunetd check-config --config {shlex.quote(str(target))}`, or name another folder"
        )
    sample = shipped_files.find(NAME)
    if sample is None:
        raise InstallError("the sample config.yaml was not installed: install cvunet-daemon again")
    made = hot_folders.all_folders(Config(), place)
    try:
        for path in (place, *(path for one in made for path in (one.path, one.output_root))):
            files.make_folders(path)
        moves.write_new(target, sample.read_bytes())
    except FileExistsError as error:
        raise UsageError(f"{printable(place)}: something has the name already: {error}") from error
    except OSError as error:
        text = f"{printable(place)} cannot be filled ({explain(error)}): name another folder"
        raise InstallError(text) from error
    yield f"wrote {printable(target)}: all settings, each with its default and a comment"
    yield from next_steps(target)


def next_steps(target: Path) -> Iterator[str]:
    """Yield where pictures go, where results come, and how to start."""
    config, base = configuration.load(target)
    for folder in hot_folders.all_folders(config, base):
        yield f"made {printable(folder.path)}: drop pictures here"
        yield f"made {printable(folder.output_root)}: results come here"
    weights = find_weights(config, base)
    if not weights.exists():
        yield f"no weights at {printable(weights)}: set model.weights to their file first"
    yield f"start: cvunetd run --config {shlex.quote(str(target))}"
    yield "The first result comes a few seconds after the first picture. Ctrl-C stops."
