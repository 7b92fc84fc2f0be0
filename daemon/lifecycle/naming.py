"""Names of results and originals."""

import secrets
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

from daemon.disk import files, store, uploads
from daemon.errors import PictureError, printable
from daemon.jobs import HotFolder, Job
from daemon.ledger.ledger import Drop
from daemon.portable_names import folded, portable, portable_path, short_path
from daemon.renderings import Rendering, VideoFormat

SUFFIXES = {
    "png": ".png",
    "webp": ".webp",
    "webp-lossless": ".webp",
    "avif": ".avif",
    "tiff": ".tiff",
    "jpeg": ".jpg",
}
CLIP_SUFFIXES: dict[VideoFormat, str] = {
    "webm": ".webm",
    "mov-prores": ".mov",
    "mov-qtrle": ".mov",
    "png-sequence": ".zip",
    "apng": ".png",
    "webp": ".webp",
    "mp4": ".mp4",
    "alpha": ".mov",
}
ALPHA = "_alpha"
RESERVED_NAMES = (store.MANIFEST, store.MARKER, store.ORIGINALS, store.REVIEW)


class TakenNames(Protocol):
    """Names that jobs hold; those that differ only in case or Unicode form count as one."""

    def holder(self, path: Path) -> Path | None:
        """Return what holds a file's name; None if it is free."""

    def blocks_folder(self, path: Path) -> bool:
        """Whether a folder may not have this name."""


class NameTaken(PictureError):
    """Another file has the name, and the folder's `clash` makes this a failure."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"its result's name {printable(path)} is taken (output.clash: fail): take that file"
            " away, or set clash to version, then retry"
        )


class TakenByOthers:
    """The same for one job, which is given other names: those that it has are free."""

    def __init__(self, taken: TakenNames, job: Job) -> None:
        self.taken = taken
        self.own = frozenset((job.target, job.alpha, job.review, job.archive))

    def holder(self, path: Path) -> Path | None:
        """Return what holds a file's name, unless the job does."""
        found = self.taken.holder(path)
        return None if found in self.own else found

    def blocks_folder(self, path: Path) -> bool:
        """Whether a folder may not have this name."""
        return self.taken.blocks_folder(path)


@dataclass(frozen=True, slots=True)
class Kinds:
    """Which files are made of a picture, by their suffixes."""

    result: str
    alpha: str | None
    """None if no mask is made beside the result."""


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


def clip_format(folder: HotFolder) -> VideoFormat:
    """Return the format of a clip's result in a folder, as its job sees the folder."""
    is_mask = folder.rendering.content == "alpha"
    return folder.video.format_for(folder.clip, is_mask=is_mask)


def suffix_of(folder: HotFolder) -> str:
    """Return the suffix of a result in a folder, as its job sees the folder."""
    if folder.clip:
        return CLIP_SUFFIXES[clip_format(folder)]
    return SUFFIXES[folder.rendering.format]


def alpha_suffix(rendering: Rendering) -> str | None:
    """Return the suffix of the mask beside a result; None if no mask is wanted."""
    return SUFFIXES[rendering.alpha_format] if rendering.content == "both" else None


def alpha_name(target: Path, rendering: Rendering) -> Path | None:
    """Return the mask's path beside a result; None if no mask is wanted."""
    return mask_name(target, alpha_suffix(rendering))


def mask_name(target: Path, suffix: str | None) -> Path | None:
    """Return the same by the mask's suffix; None if there is none."""
    if suffix is None:
        return None
    return files.versioned(target.with_name(target.stem + ALPHA + suffix), 1)


def wanted_kinds(folder: HotFolder) -> Kinds:
    """Return what a folder, as a job sees it, wants by now; a clip has no mask beside it."""
    alpha = None if folder.clip else alpha_suffix(folder.rendering)
    return Kinds(suffix_of(folder), alpha)


def kinds_of(job: Job) -> Kinds:
    """Return what is made for a job: its folder may have had other settings when it began."""
    return Kinds(job.target.suffix, None if job.alpha is None else job.alpha.suffix)


def free_names(
    folder: HotFolder,
    drop: Drop,
    relative: Path,
    job_id: str,
    *,
    day: date,
    taken: TakenNames,
    kinds: Kinds,
) -> Names:
    """Return free names in a drop; sub-folders are mirrored. ``day``: of the picture's arrival."""
    relative = shown(folder, relative)
    wanted = first_choice(folder, drop, relative, job_id, day=day, taken=taken, kinds=kinds)

    def is_blocked(path: Path) -> bool:
        alpha = mask_name(path, kinds.alpha)
        is_alpha_blocked = alpha is not None and (files.exists(alpha) or is_taken(alpha))
        return is_alpha_blocked or is_reserved_name(path, drop) or is_taken(path)

    def is_taken(path: Path) -> bool:
        return taken.holder(path) is not None

    target = files.free_name(wanted, is_blocked)
    alpha = mask_name(target, kinds.alpha)
    if folder.originals != "archive":
        return Names(target, alpha, None)
    return Names(target, alpha, free_original(drop, relative, taken=taken))


def free_original(drop: Drop, relative: Path, *, taken: TakenNames, is_short: bool = False) -> Path:
    """Return where an original goes in a drop; ``relative`` is its path as it is shown.

    It keeps its name as it is: other systems show a refused one in their own way. ``is_short``: the
    drop's file system cannot have it.
    """
    if is_short:
        relative = short_path(relative)
    top = drop.path / store.ORIGINALS
    if not files.is_folder(top) and files.exists(top):  # another file or a link has our name
        top = files.free_folder(drop.path, Path(store.ORIGINALS), taken.blocks_folder)
    place = files.free_folder(top, relative.parent, taken.blocks_folder)
    return files.free_name(place / relative.name, lambda path: taken.holder(path) is not None)


def first_choice(
    folder: HotFolder,
    drop: Drop,
    relative: Path,
    job_id: str,
    *,
    day: date,
    taken: TakenNames,
    kinds: Kinds,
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
        drop.path,
        portable_path(relative.parent),
        lambda path: is_reserved_name(path, drop) or taken.blocks_folder(path),
    )
    return place / portable(stem + kinds.result)


def is_reserved_name(path: Path, drop: Drop) -> bool:
    """Whether we need this name in a drop ourselves, in any spelling."""
    return path.parent == drop.path and folded(path.name) in RESERVED_NAMES


def find_clash(
    folder: HotFolder, drop: Drop, job: Job, *, day: date, taken: TakenNames
) -> Path | None:
    """Return what has the preferred name, perhaps in another spelling; None if it is free."""
    kinds = kinds_of(job)
    wanted = first_choice(folder, drop, job.relative, job.id, day=day, taken=taken, kinds=kinds)
    if job.target == wanted:
        return None
    for path in (wanted, mask_name(wanted, kinds.alpha)):
        if path is None:
            continue
        if files.exists(path):
            return path
        if (holder := taken.holder(path)) is not None:
            return holder
    return None
