"""`cvunetd retry`: moves quarantined pictures back to their hot folders, to be found as new."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from daemon.config import folders as hot_folders
from daemon.config import schema as configuration
from daemon.disk import files, store
from daemon.errors import UsageError, describe, printable
from daemon.jobs import HotFolder
from daemon.watching import scan


def retry(config_path: Path | None, chosen: Sequence[Path], *, is_all: bool) -> Iterator[str]:
    """Yield one line for each picture; `UsageError` for one that is not in quarantine."""
    config, base = configuration.load(config_path)
    quarantine = hot_folders.resolve(base, config.quarantine_dir)
    folders = {folder.name: folder for folder in hot_folders.all_folders(config, base)}
    known = quarantined(quarantine)
    pictures = known if is_all else [find(file, known) for file in chosen]
    if not pictures:
        yield f"no picture is in quarantine ({printable(quarantine)})"
    for picture in pictures:
        yield put_back(picture, quarantine, folders)


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
    """Return every file that has a reason file beside it."""
    if not quarantine.is_dir():
        return []
    found = scan.pictures(quarantine, recursive=True)
    return [path for path in found if store.reason_file(path).is_file()]


def put_back(picture: Path, quarantine: Path, folders: dict[str, HotFolder]) -> str:
    """Move one picture back, and delete its reason file."""
    if not picture.is_relative_to(quarantine) or not store.reason_file(picture).is_file():
        raise UsageError(
            f"{printable(picture)} is not in quarantine ({printable(quarantine)}); a picture that"
            " stayed in its hot folder (originals: keep) is tried again after `touch`"
        )
    name, *parts = picture.relative_to(quarantine).parts
    folder = folders.get(name)
    if folder is None or not parts:
        return f"{printable(picture)}: folder {name!r} is not configured any more; it stays"
    place = folder.path.joinpath(*parts)
    # An interrupted retry has left one file with two names: finish it, do not start again.
    if not (files.exists(place) and files.is_same_file(place, picture)):
        place = files.free_name(place, lambda path: False)
    try:
        store.restore(picture, place)
    except OSError as error:
        return f"{printable(picture)}: {describe(error)}"
    return f"{printable(place)}"
