"""What pictures are called in quarantine."""

import os
from collections.abc import Callable
from pathlib import Path

from daemon.disk import files, safe_open, store, uploads
from daemon.portable_names import folded

#: So many names are remembered beside those of the last lists; then they are listed anew.
MAX_NAMES = 100_000


class Spellings:
    """The names in quarantine, by what SMB and macOS make of them; each folder is listed once."""

    def __init__(self) -> None:
        self.folders: dict[Path, dict[str, str]] = {}
        self.given: set[Path] = set()
        """Sub-folders that pictures were given, made yet or not."""
        self.versions: dict[Path, int] = {}
        """The last numbers that were given, by the places that were wanted."""
        self.count = 0
        """Of all names, listed and noted."""
        self.noted = 0

    def names(self, folder: Path) -> dict[str, str]:
        """Return the names in a folder by their folded forms; some may be gone by now."""
        if self.noted > MAX_NAMES:
            self.forget()
        if folder not in self.folders:
            if self.count > MAX_NAMES:
                self.forget()
            self.folders[folder] = {folded(name): name for name in listed(folder)}
            self.count += len(self.folders[folder]) + 1
        return self.folders[folder]

    def note(self, path: Path) -> None:
        """Note a name that something will have in a moment."""
        self.names(path.parent)[folded(path.name)] = path.name
        self.count += 1
        self.noted += 1

    def forget(self) -> None:
        """Forget all names: most of them may have left quarantine."""
        self.folders.clear()
        self.given.clear()
        self.versions.clear()
        self.count = self.noted = 0

    def other(self, path: Path) -> Path | None:
        """Return what has or had this name in another spelling."""
        name = self.names(path.parent).get(folded(path.name), path.name)
        return None if name == path.name else path.with_name(name)


def listed(folder: Path) -> list[str]:
    """Return the names in a folder; none if it is not there."""
    try:
        with safe_open.folder(folder, flags=safe_open.LISTED) as found:
            return os.listdir(found)  # noqa: PTH208  # of an open folder
    except (FileNotFoundError, NotADirectoryError):
        return []


def free_quarantine(
    root: Path,
    relative: Path,
    is_meant: Callable[[Path], bool] = lambda path: False,
    spellings: Spellings | None = None,
) -> Path:
    """A place that is free and whose reason's place is free: sidecars are called cat.jpg.json.

    ``is_meant`` tells names that others will have in a moment; ``spellings`` knows which differ
    only in case or Unicode form.
    """
    known = spellings or Spellings()

    def is_in_use(place: Path) -> bool:
        return is_meant(place) or place in known.given or files.exists(place)

    def is_folder_taken(place: Path) -> bool:
        other = known.other(place)
        return is_meant(place) or (other is not None and is_in_use(other))

    def is_taken(place: Path) -> bool:  # a very long cat.json would be its own reason
        reason = store.reason_file(place)
        if reason == place or is_in_use(reason) or is_meant(place) or place in known.given:
            return True
        others = (known.other(place), known.other(reason))
        return any(other is not None and is_in_use(other) for other in others)

    folder = files.free_folder(root, relative.parent, is_folder_taken)
    for depth in range(1, len(relative.parts)):
        part = Path(*folder.parts[: len(root.parts) + depth])
        known.note(part)
        known.given.add(part)
    place = free_name(folder / relative.name, is_taken, known)
    for path in (place, store.reason_file(place)):
        known.note(path)
    return place


def free_name(wanted: Path, is_taken: Callable[[Path], bool], known: Spellings) -> Path:
    """Do as `files.free_name`, but go on after the last number: a camera may use one name always.

    The name without a number is tried first: a picture that was tried again has left it.
    """
    version = 1
    while files.exists(place := files.versioned(wanted, version)) or is_taken(place):
        version = max(version + 1, known.versions.get(wanted, 0))
    if version > 1:
        known.versions[wanted] = version
    return place


def is_of(place: Path, job_id: str) -> bool:
    """Whether a place in quarantine is a job's by the reason beside it; True if there is none.

    Once a picture has left quarantine, the next one of its name gets its place.
    """
    try:
        reason = uploads.read_json(store.reason_file(place))
    except ValueError:
        return False  # somebody has written another one: nobody knows whose the picture is
    return reason is None or reason.get("id") == job_id


def holds(place: Path | None, job_id: str) -> bool:
    """Whether a job's original is at its place in quarantine, and no other picture."""
    return place is not None and files.exists(place) and is_of(place, job_id)
