"""What pictures are called in quarantine."""

from collections.abc import Callable
from pathlib import Path

from daemon.disk import files, store


def free_quarantine(
    root: Path, relative: Path, is_meant: Callable[[Path], bool] = lambda path: False
) -> Path:
    """A place that is free and whose reason's place is free: sidecars are called cat.jpg.json.

    ``is_meant`` tells names that others will have in a moment.
    """
    folder = files.free_folder(root, relative.parent, is_meant)

    def is_taken(place: Path) -> bool:  # a very long cat.json would be its own reason
        reason = store.reason_file(place)
        return reason == place or files.exists(reason) or is_meant(place) or is_meant(reason)

    return files.free_name(folder / relative.name, is_taken)
