"""Where files are and how they get there. The only code that moves, makes or deletes files."""

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.disk import deletion, drop_names, modes, safe_open, tree
from daemon.disk.comparison import is_same_content
from daemon.disk.files import (
    NAME_MAX_BYTES,
    create_in,
    exists,
    has_other_spelling,
    identity,
    is_folder,
    is_same_file,
    make_folders,
    remove,
    remove_if_empty,
)
from daemon.disk.moves import move, rename_no_replace, write_json, write_text
from daemon.disk.syncs import Syncs, sync_folder
from daemon.errors import describe

logger = logging.getLogger(__name__)

CLAIMS = safe_open.CLAIMS
ORIGINALS = "originals"
REVIEW = "review"
MANIFEST = "manifest.json"
MARKER = drop_names.MARKER
OUR_PART = re.compile(r"\.(?:[0-9a-f]{22}(?:-\d+)?(?:-alpha|-review|-clip)?|cvunetd-\d+)\.part")


@dataclass(frozen=True, slots=True)
class Claim:
    """A file taken out of a hot folder."""

    job_id: str
    relative: Path
    path: Path


# --- the way of an original --------------------------------------------------------------------


def claim(root: Path, relative: Path, job_id: str, later: Syncs) -> Path:
    """Take a file out of its hot folder by one rename; a second claimant gets an error.

    ``later`` makes it durable. If a power cut undoes it before that, the file is found again.
    """
    parts = relative.parent.parts
    try:
        with (
            safe_open.folder(root) as top,
            safe_open.sub_folder(top, parts) as source,
            safe_open.made_claim(top, root, (job_id, *parts), later.add) as place,
        ):
            os.rename(relative.name, relative.name, src_dir_fd=source, dst_dir_fd=place)
            later.add_open(root.joinpath(CLAIMS, job_id, *parts), place)
    except OSError:
        drop_claim(root, relative, job_id)
        raise
    return root / CLAIMS / job_id / relative


def unclaim(root: Path, relative: Path, job_id: str) -> None:
    """Put a claimed file back, into a sub-folder that may have gone; over no other file.

    `OSError` if it could not be put back, or not all of its claim be removed.
    """
    claimed = root / CLAIMS / job_id / relative
    if is_unclaimed(root, Claim(job_id, relative, claimed)):
        remove(claimed)
    else:
        make_folders((root / relative).parent)
        rename_no_replace(claimed, root / relative)
    drop_claim(root, relative, job_id)


def is_unclaimed(root: Path, claim: Claim) -> bool:
    """Whether a crash came between the two steps of `unclaim`: the file has both names."""
    made = identity(root / claim.relative)
    return made is not None and made == identity(claim.path)


def claims(root: Path) -> Iterator[Claim]:
    """All files that are claimed in a hot folder; what a link leads to is none of ours."""
    for folder in safe_open.claimed(root):
        for path in sorted(tree.below(folder)):
            if not is_folder(path):
                yield Claim(folder.name, path.relative_to(folder), path)


def drop_claim(root: Path, relative: Path, job_id: str, later: Syncs | None = None) -> None:
    """Remove the empty folders of one claim; anything that still holds a file stays."""
    parts = (job_id, *relative.parent.parts)
    with suppress(FileNotFoundError), safe_open.claims(root) as claims:
        for depth in reversed(range(len(parts))):
            with (
                suppress(FileNotFoundError),
                safe_open.below(claims, parts[:depth], is_one_mount=True) as folder,
            ):
                is_gone = deletion.remove_if_empty(parts[depth], folder)
                if is_gone and later is not None:
                    later.replace(root.joinpath(CLAIMS, *parts[: depth + 1]))


def drop_empty_claims(root: Path) -> None:
    """Remove the folders of all claims that hold no file any more, whatever else they hold."""
    for top in safe_open.claimed(root):
        for folder in reversed([top, *filter(is_folder, tree.below(top))]):
            remove_if_empty(folder)


def archive(source: Path, destination: Path, later: Syncs | None = None) -> None:
    """Move an original beside its result; overwrites nothing.

    May be called again after a crash: what was moved or copied already is not done twice.
    """
    if exists(destination) and is_same_content(source, destination):
        sync_folder(destination.parent)  # copied before, perhaps not durably
        discard(source)
        return
    make_folders(destination.parent)
    move(source, destination, later)


def discard(source: Path) -> None:
    """Delete an original whose result is safe (``originals: delete``)."""
    remove(source)


# --- the way of a result -----------------------------------------------------------------------


def publish(part: Path, target: Path, later: Syncs | None = None) -> None:
    """Make a finished result visible under its name; `FileExistsError` if the name is taken."""
    rename_no_replace(part, target, later)


def is_published(part: Path, target: Path) -> bool:
    """Whether the result has its name: the part is gone, or a crash left both names on one file."""
    made = identity(target)
    return made is not None and (not exists(part) or identity(part) == made)


def remove_part(part: Path) -> None:
    """Delete an unfinished result."""
    remove(part)


def explain(
    quarantine: Path,
    reason: dict[str, Any],  # Any: JSON
    later: Syncs | None = None,
) -> None:
    """Write why a picture is rejected, before it goes to that place in quarantine."""
    make_folders(quarantine.parent)
    write_json(reason_file(quarantine), reason, later=later)


def reject(source: Path, quarantine: Path, later: Syncs | None = None) -> None:
    """Put an original into quarantine, where its reason is already; may be called again."""
    if exists(source) or exists(quarantine):
        archive(source, quarantine, later)


def restore(quarantined: Path, place: Path, later: Syncs | None = None) -> None:
    """Move a quarantined original back, then delete its reason; ``later`` hears of a long copy."""
    make_folders(place.parent)
    if exists(place) and is_same_file(place, quarantined):
        remove(quarantined)
    else:
        move(quarantined, place, later)
        if later is not None:
            later.flush()
    remove(reason_file(quarantined))


def reason_file(quarantine: Path) -> Path:
    """Return the path of the reason for a quarantined picture."""
    room = NAME_MAX_BYTES - len(".json")
    name = os.fsencode(quarantine.name)
    if len(name) > room:
        # Cut between characters, as `files.versioned` does.
        name = name[:room].decode("utf-8", "ignore").encode() or b"picture"
    return quarantine.with_name(f"{os.fsdecode(name)}.json")


# --- drops -----------------------------------------------------------------------------------


def open_drop(
    root: Path, name: str, *, is_taken: Callable[[Path], bool] = lambda drop: False
) -> Path:
    """Make a new folder that is ours; ``is_taken`` knows names of removed ones."""
    make_folders(root)
    version = 1
    with safe_open.folder(root) as top:
        while True:
            drop = root / (name if version == 1 else f"{name}_{version}")
            version += 1
            if is_taken(drop) or has_other_spelling(drop):
                continue
            try:
                os.mkdir(drop.name, modes.FOLDER, dir_fd=top)
            except FileExistsError:
                continue
            try:
                safe_open.sync(top)
                return mark_drop(drop)
            except OSError:
                remove_new_drop(drop)
                raise


def remove_new_drop(drop: Path) -> None:
    """Remove a drop that was just made and holds nothing but our mark."""
    try:
        remove(drop / MARKER)
        remove_if_empty(drop)
    except OSError as error:
        logger.warning("%s stays: %s", drop, describe(error))


def drops(root: Path) -> list[Path]:
    """All folders that may be drops by their names."""
    return [path for path in tree.folders(root) if drop_names.STAMP.search(path.name)]


def mark_drop(drop: Path) -> Path:
    """Write the mark; retention deletes no folder without it."""
    make_folders(drop)
    with safe_open.folder(drop) as folder, create_in(folder, drop / MARKER) as stream:
        stream.write(drop_names.mark(drop.name))
        stream.flush()
        os.fsync(stream.fileno())
    return drop


def write_manifest(drop: Path, text: str) -> None:
    """Write or replace a drop's manifest in one step."""
    write_text(drop / MANIFEST, text)


def remove_drop(
    drop: Path,
    *,
    is_expired: Callable[[int], bool] = lambda folder: True,
    select: Callable[[int], deletion.IsKept] = lambda folder: lambda parts: False,
) -> bool:
    """Delete a drop, or `ValueError` without our mark; links are removed, never followed.

    Both functions get the open folder, which is the one that is deleted; ``select`` returns which
    files stay. Mark and manifest are deleted last: what a failure leaves is still known as ours.
    """
    with safe_open.folder(drop.parent) as root:
        with safe_open.below(root, (drop.name,)) as folder:
            if not is_expired(folder):
                return False
            if not drop_names.is_marked(drop.name, folder):
                raise ValueError("it has no mark of ours, so it is not deleted")
            deletion.check_unmounted(drop)
            deletion.clear(folder, is_kept=select(folder), last=(MANIFEST, MARKER))
        deletion.remove_if_empty(drop.name, root)
    return True


def remove_empty_drop(drop: Path, *, is_known: bool) -> bool:
    """Remove a drop that holds nothing, or nothing but our mark; True if it was such a one.

    A deletion that was interrupted at its very end leaves this, and an opening at its beginning.
    ``is_known``: name or ledger say that it is ours; else the mark has to.
    """
    with safe_open.folder(drop.parent) as root:
        with safe_open.below(root, (drop.name,)) as folder:
            left = deletion.names(folder)
            if left not in ([], [MARKER]):
                return False
            if not is_known and not drop_names.is_marked(drop.name, folder):
                return False
            deletion.remove_files(left, folder)
        os.rmdir(drop.name, dir_fd=root)
    return True


def remove_orphans(paths: Iterable[Path]) -> list[Path]:
    """Delete the unfinished files that a crash left among paths; only files with our names."""
    found = (path for path in paths if OUR_PART.fullmatch(path.name))
    orphans = [part for part in found if not is_folder(part)]
    for part in orphans:
        remove(part)
    return orphans
