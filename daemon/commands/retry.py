"""`cvunetd retry`: moves quarantined pictures back to their hot folders, to be found as new."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from daemon.commands.acting import acting_as
from daemon.commands.checks.service import owner
from daemon.config import folders as hot_folders
from daemon.config import schema as configuration
from daemon.disk import files, store
from daemon.errors import UsageError, asked_about, describe, printable
from daemon.jobs import HotFolder


def retry(
    config_path: Path | None,
    chosen: Sequence[Path],
    *,
    is_all: bool,
    failures: list[Path] | None = None,
) -> Iterator[str]:
    """Yield one line for each picture; `UsageError`, before the first, for one not in quarantine.

    ``failures`` gets the pictures that could not be moved.
    """
    stay = [] if failures is None else failures
    config, base = configuration.load(config_path)
    quarantine = hot_folders.resolve(base, config.quarantine_dir)
    folders = {folder.name: folder for folder in hot_folders.all_folders(config, base)}
    with asked_about(quarantine):
        known = quarantined(quarantine)
    pictures = known if is_all else [find(file, known) for file in chosen]
    for picture in pictures:
        check(picture, quarantine)
    if not pictures:
        yield f"no picture is in quarantine ({printable(quarantine)})"
    user = owner(hot_folders.resolve(base, config.state_dir))
    for picture in pictures:
        try:
            with acting_as(user):
                told = printable(put_back(picture, quarantine, folders))
        except (OSError, UsageError) as error:
            stay.append(picture)
            told = f"{printable(picture)}: {describe(error)}"
        yield told


def find(asked: Path, known: Sequence[Path]) -> Path:
    """Return the quarantined picture that a path or a mere name means."""
    path = asked.resolve()
    if path in known or len(asked.parts) != 1:
        return path
    named = [picture for picture in known if picture.name == asked.name]
    if len(named) > 1:
        places = ", ".join(map(printable, named))
        raise UsageError(f"{printable(asked)} is the name of several pictures: say which: {places}")
    return named[0] if named else path


def quarantined(quarantine: Path) -> list[Path]:
    """Return every file that has a reason file beside it, also in hidden folders.

    `PermissionError` if there is a folder that may not be read.
    """

    def refuse(error: OSError) -> None:
        if isinstance(error, PermissionError):
            raise error

    walked = os.walk(quarantine, onerror=refuse)
    found = sorted(Path(top, name) for top, _, names in walked for name in names)
    return [path for path in found if is_rejected(path)]


def is_rejected(path: Path) -> bool:
    """Whether this is a picture with its reason beside it; a very long name is its own reason."""
    reason = store.reason_file(path)
    return reason != path and reason.is_file() and not path.is_symlink()


def check(picture: Path, quarantine: Path) -> None:
    """Raise `UsageError` for what is not in quarantine."""
    if not picture.is_relative_to(quarantine) or not store.reason_file(picture).is_file():
        raise UsageError(
            f"{printable(picture)} is not in quarantine ({printable(quarantine)}); a picture that"
            " stayed in its hot folder (originals: keep) is tried again after `touch`"
        )


def put_back(picture: Path, quarantine: Path, folders: dict[str, HotFolder]) -> Path:
    """Move one picture back, and delete its reason file; return where it is then.

    `UsageError` if its folder cannot take it, `OSError` if it cannot be moved.
    """
    name, *parts = picture.relative_to(quarantine).parts
    folder = folders.get(name)
    if folder is None or not parts:
        raise UsageError(f"folder {name!r} is not configured any more; it stays")
    # What is put into an empty mount point is hidden when its share is mounted.
    ours = folder.path if folder.originals == "keep" else folder.path / store.CLAIMS
    if not ours.is_dir():
        raise UsageError(
            f"{printable(ours)} is not there: mount the folder, or start the daemon once; the"
            " picture stays"
        )
    place = folder.path.joinpath(*parts)
    # An interrupted retry has left one file with two names: finish it, do not start again.
    if not (files.exists(place) and files.is_same_file(place, picture)):
        place = files.free_name(place, lambda path: False)
    store.restore(picture, place)
    return place
