"""Names of results and originals."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from daemon.disk import files, store, uploads
from daemon.errors import PictureError, printable
from daemon.jobs import HotFolder, Job, Rendering
from daemon.ledger.ledger import Drop

SUFFIXES = {
    "png": ".png",
    "webp": ".webp",
    "webp-lossless": ".webp",
    "avif": ".avif",
    "tiff": ".tiff",
    "jpeg": ".jpg",
}
ALPHA = "_alpha"
RESERVED_NAMES = (store.MANIFEST, store.MARKER, store.ORIGINALS, store.REVIEW)


class NameTaken(PictureError):
    """Another file has the name, and the folder's `clash` makes this a failure."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"its result's name {printable(path)} is taken (output.clash: fail): take that file"
            " away, or set clash to version, then retry"
        )


@dataclass(frozen=True, slots=True)
class Names:
    """Where a job's result, the separate mask, and its original go."""

    target: Path
    alpha: Path | None
    archive: Path | None


def new_id(now: float, serial: int) -> str:
    """Return a job's id: sorts by time, then serial number; safe in every file name."""
    return f"{int(now * 1000):012x}{serial & 0xFFFF:04x}{secrets.token_hex(3)}"


def shown(folder: HotFolder, relative: Path) -> Path:
    """Return the path of a picture without the folder of its upload: the id means nothing there."""
    if folder.has_uploads and uploads.id_of(relative) is not None:
        return Path(*relative.parts[1:])
    return relative


def alpha_name(target: Path, rendering: Rendering) -> Path | None:
    """Return the mask's path beside a result; None if no mask is wanted."""
    if rendering.content != "both":
        return None
    suffix = SUFFIXES[rendering.alpha_format]
    return files.versioned(target.with_name(target.stem + ALPHA + suffix), 1)


def free_names(
    folder: HotFolder,
    drop: Drop,
    relative: Path,
    job_id: str,
    *,
    day: date,
    is_taken: Callable[[Path], bool],
) -> Names:
    """Return free names in a drop; sub-folders are mirrored. ``day``: of the picture's arrival."""
    relative = shown(folder, relative)
    wanted = first_choice(folder, drop, relative, job_id, day=day, is_taken=is_taken)

    def is_blocked(path: Path) -> bool:
        alpha = alpha_name(path, folder.rendering)
        is_alpha_blocked = alpha is not None and (files.exists(alpha) or is_taken(alpha))
        return is_alpha_blocked or is_reserved_name(path, drop) or is_taken(path)

    target = files.free_name(wanted, is_blocked)
    alpha = alpha_name(target, folder.rendering)
    if folder.originals != "archive":
        return Names(target, alpha, None)
    place = files.free_folder(drop.path / store.ORIGINALS, relative.parent, is_taken)
    return Names(target, alpha, files.free_name(place / relative.name, is_taken))


def first_choice(
    folder: HotFolder,
    drop: Drop,
    relative: Path,
    job_id: str,
    *,
    day: date,
    is_taken: Callable[[Path], bool],
) -> Path:
    """Return the preferred name of the result."""
    relative = shown(folder, relative)
    stem = folder.name_template.format(
        stem=relative.stem,
        ext=relative.suffix.removeprefix("."),
        folder=folder.name,
        subfolder=relative.parent.as_posix().removeprefix("."),
        date=day,
        id=job_id,
    )
    # A template's output holds a slash only if a field did; slashes are replaced.
    stem = stem.replace("/", "_").lstrip(".") or "picture"
    place = files.free_folder(
        drop.path, relative.parent, lambda path: is_reserved_name(path, drop) or is_taken(path)
    )
    return place / (stem + SUFFIXES[folder.rendering.format])


def is_reserved_name(path: Path, drop: Drop) -> bool:
    """Whether we need this name in a drop ourselves."""
    return path.parent == drop.path and path.name in RESERVED_NAMES


def find_clash(
    folder: HotFolder, drop: Drop, job: Job, *, day: date, is_taken: Callable[[Path], bool]
) -> Path | None:
    """Return the preferred name if another file has it; else None."""
    wanted = first_choice(folder, drop, job.relative, job.id, day=day, is_taken=is_taken)
    if job.target == wanted:
        return None
    for path in (wanted, alpha_name(wanted, folder.rendering)):
        if path is not None and (files.exists(path) or is_taken(path)):
            return path
    return None
