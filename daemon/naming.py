"""What results and originals are called."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daemon import files, store
from daemon.jobs import HotFolder
from daemon.ledger import Drop

SUFFIXES = {
    "png": ".png",
    "webp": ".webp",
    "webp-lossless": ".webp",
    "avif": ".avif",
    "tiff": ".tiff",
    "jpeg": ".jpg",
}


@dataclass(frozen=True, slots=True)
class Names:
    """Where a job's result and original go."""

    target: Path
    archive: Path | None


def new_id(now: float, serial: int) -> str:
    """A job's id: sorts by time, then serial number; safe in every file name."""
    return f"{int(now * 1000):012x}{serial & 0xFFFF:04x}{secrets.token_hex(3)}"


def names(
    folder: HotFolder,
    drop: Drop,
    relative: Path,
    job_id: str,
    *,
    is_taken: Callable[[Path], bool],
) -> Names:
    """Free names in a drop; sub-folders are mirrored."""
    stem = folder.name_template.format(
        stem=relative.stem, ext=relative.suffix.removeprefix("."), folder=folder.name, id=job_id
    )
    # What comes out of a template may hold a slash only if a field did, and no field can end it.
    stem = stem.replace("/", "_").lstrip(".") or "picture"
    ours = {drop.path / name for name in (store.MANIFEST, store.MARKER, store.ORIGINALS)}

    def is_blocked(path: Path) -> bool:
        return path in ours or is_taken(path)

    place = files.free_folder(drop.path, relative.parent, is_blocked)
    target = files.free_name(place / (stem + SUFFIXES[folder.rendering.format]), is_blocked)
    if folder.originals != "archive":
        return Names(target, None)
    place = files.free_folder(drop.path / store.ORIGINALS, relative.parent, is_taken)
    return Names(target, files.free_name(place / relative.name, is_taken))
