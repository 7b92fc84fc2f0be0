"""The folders that one daemon owns, checked and locked."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from daemon.config import folders as hot_folders
from daemon.config.schema import Config
from daemon.disk import lock as locks
from daemon.disk.lock import Lock
from daemon.jobs import HotFolder
from daemon.service.crash_note import CrashNote, noting_crashes
from daemon.service.folder_changes import lock_of


@dataclass(frozen=True, slots=True)
class OwnedFolders:
    """The folders that one daemon owns."""

    folders: list[HotFolder]
    state: Path
    quarantine: Path
    locks: dict[str, Lock] = field(default_factory=dict)
    """Locks of the hot folders that we own, by their names."""
    state_lock: Lock | None = None
    crash_note: CrashNote = field(default_factory=CrashNote)
    """Where a crash is noted, and what the process before has noted."""

    @property
    def by_name(self) -> dict[str, HotFolder]:
        """Return the folders by their names."""
        return {folder.name: folder for folder in self.folders}


def owned_folders(config: Config, base: Path) -> OwnedFolders:
    """Return the configured folders, checked; `InstallError` has a line for each fault."""
    return OwnedFolders(
        folders=hot_folders.hot_folders(config, base),
        state=hot_folders.resolve(base, config.state_dir),
        quarantine=hot_folders.resolve(base, config.quarantine_dir),
    )


@contextmanager
def locked(place: OwnedFolders) -> Iterator[OwnedFolders]:
    """Own the state folder and every hot folder that we may write to."""
    state, hot = lock_all(place)
    with noting_crashes(place.state) as note:
        yield replace(place, locks=hot, state_lock=state, crash_note=note)
    for lock in (state, *hot.values()):
        lock.release()


def lock_all(place: OwnedFolders) -> tuple[Lock, dict[str, Lock]]:
    """Take the locks of state and hot folders; `InstallError` names one in use."""
    state = Lock(place.state / locks.FILE)
    hot = {folder.name: lock_of(folder) for folder in place.folders if folder.originals != "keep"}
    wanted = [(state, f"state folder {place.state}")]
    paths = {folder.name: folder.path for folder in place.folders}
    locks.take_all([*wanted, *((lock, f"hot folder {paths[name]}") for name, lock in hot.items())])
    return state, hot
