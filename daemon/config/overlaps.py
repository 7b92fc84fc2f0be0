"""Hot folders that get in each other's way: by their names, or by lying inside one another."""

from pathlib import Path

from daemon.jobs import HotFolder
from daemon.name_patterns import compiled


def duplicate_names(folders: list[HotFolder]) -> list[str]:
    """Return faults of folders with equal names; the ledger identifies folders by name."""
    names = [folder.name for folder in folders]
    return [
        f"two folders are named {name!r}: give each its own folders[].name"
        for name in sorted({name for name in names if names.count(name) > 1})
    ]


def overlaps(folders: list[HotFolder], state: Path, quarantine: Path) -> list[str]:
    """Return faults of places inside each other: results would be taken for new pictures."""
    faults = []
    outputs = sorted({folder.output_root for folder in folders})
    for index, folder in enumerate(folders):
        for what, place in (
            *(("output", output) for output in outputs),
            ("state_dir", state),
            ("quarantine_dir", quarantine),
        ):
            if is_inside(place, folder.path):
                faults.append(f"{what} {place} lies inside hot folder {folder.path}: move it out")
            elif is_inside(folder.path, place):
                faults.append(f"hot folder {folder.path} lies inside {what} {place}: move it out")
        faults += [
            f"hot folders {folder.path} and {other.path} overlap: keep one of them"
            for other in folders[index + 1 :]
            if is_inside(folder.path, other.path) or is_inside(other.path, folder.path)
        ]
    return faults


def backgrounds_in_hot(folders: list[HotFolder]) -> list[str]:
    """Return faults of backgrounds that would be taken for pictures and moved away."""
    backgrounds = {folder.rendering.background for folder in folders}
    files = sorted(path for path in backgrounds if isinstance(path, Path))
    return [
        f"background {path} lies in hot folder {folder.path}, from which it would be taken: move it"
        " out"
        for path in files
        for folder in folders
        if folder.originals != "keep" and is_taken_from(path, folder)
    ]


def is_taken_from(path: Path, folder: HotFolder) -> bool:
    """Whether a file lies where a hot folder's pictures do, and not under a name that is left."""
    if not is_inside(path, folder.path):
        return False
    relative = path.relative_to(folder.path)
    is_hidden = any(part.startswith(".") for part in relative.parts)
    is_reached = folder.recursive or len(relative.parts) == 1
    return is_reached and not is_hidden and not compiled(folder.ignore).verdict(relative)


def is_inside(inner: Path, outer: Path) -> bool:
    """Whether a place is inside another; the same place counts."""
    return inner.is_relative_to(outer)
