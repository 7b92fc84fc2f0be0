"""Hot folders that get in each other's way: by their names, or by lying inside one another."""

from pathlib import Path

from daemon.jobs import HotFolder


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


def is_inside(inner: Path, outer: Path) -> bool:
    """Whether a place is inside another; the same place counts."""
    return inner.is_relative_to(outer)
