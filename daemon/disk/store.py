"""Where files lie and how they get there. The only code that moves, makes or deletes files."""

import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from daemon.disk import deletion, modes, tree
from daemon.disk.files import (
    NAME_MAX_BYTES,
    exists,
    identity,
    is_same_content,
    is_same_file,
    make_folders,
    move,
    remove_if_empty,
    settle_name,
    sync_folder,
    write_json,
)
from daemon.disk.syncs import Syncs
from daemon.errors import describe

logger = logging.getLogger(__name__)

CLAIMS = ".cvunetd"
ORIGINALS = "originals"
REVIEW = "review"
MANIFEST = "manifest.json"
MARKER = ".cvunetd-drop"
OUR_PART = re.compile(r"\.(?:[0-9a-f]{22}(?:-alpha|-review)?|cvunetd-\d+)\.part")
DROP_NAME = re.compile(r"outputs_(\d{14})(?:_\d+)?")


@dataclass(frozen=True, slots=True)
class Claim:
    """A file taken out of a hot folder."""

    job_id: str
    relative: Path
    path: Path


# --- the way of an original ------------------------------------------------------------------


def claim(root: Path, relative: Path, job_id: str, later: Syncs | None = None) -> Path:
    """Take a file out of its hot folder by one rename; a second claimant gets an error."""
    claimed = root / CLAIMS / job_id / relative
    make_folders(claimed.parent, later)
    try:
        # Folder by folder: a link that was swapped in below would lead us out of the hot folder.
        with (
            deletion.entered(root) as top,
            deletion.opened_below(top, relative.parent.parts) as folder,
        ):
            os.rename(relative.name, claimed, src_dir_fd=folder)
    except OSError:
        drop_claim(root, job_id)
        raise
    try:
        sync_folder(claimed.parent, later)
    except OSError as error:
        # The file is ours already; if a power cut undoes the rename, it is simply found again.
        logger.warning("%s: %s", claimed.parent, describe(error))
    return claimed


def unclaim(root: Path, relative: Path, job_id: str) -> bool:
    """Put a claimed file back, unless another has its name by now: then it is adopted later.

    False if it could not be put back, or not all of its claim be removed.
    """
    claimed = root / CLAIMS / job_id / relative
    try:
        if is_unclaimed(root, Claim(job_id, relative, claimed)):
            claimed.unlink()
        else:
            settle_name(claimed, root / relative)
        drop_claim(root, job_id)
    except OSError as error:
        logger.warning("%s stays claimed: %s", root / relative, describe(error))
        return False
    return True


def is_unclaimed(root: Path, claim: Claim) -> bool:
    """A crash came between the two steps of `unclaim`: the file has both names."""
    made = identity(root / claim.relative)
    return made is not None and made == identity(claim.path)


def claims(root: Path) -> Iterator[Claim]:
    """All files that are claimed in a hot folder; what a link leads to is none of ours."""
    for folder in tree.folders(root / CLAIMS):
        for path in sorted(tree.below(folder)):
            if path.is_symlink() or not path.is_dir():
                yield Claim(folder.name, path.relative_to(folder), path)


def drop_claim(root: Path, job_id: str) -> None:
    """Remove the empty folders of a claim; anything that still holds a file stays."""
    if not tree.leads_over_link(root, Path(CLAIMS, job_id)):
        top = root / CLAIMS / job_id
        for folder in reversed([top, *filter(tree.is_folder, tree.below(top))]):
            remove_if_empty(folder)


def drop_empty_claims(root: Path) -> None:
    """Remove the folders of all claims that hold no file any more."""
    for folder in tree.folders(root / CLAIMS):
        drop_claim(root, folder.name)


def archive(source: Path, destination: Path, later: Syncs | None = None) -> None:
    """Move an original beside its result; nothing is overwritten.

    May be called again after a crash: what has been moved or copied already is not done twice.
    """
    if exists(destination) and is_same_content(source, destination):
        discard(source)
        return
    make_folders(destination.parent)
    move(source, destination, later)


def discard(source: Path) -> None:
    """Delete an original whose result is safe (``originals: delete``)."""
    source.unlink(missing_ok=True)


# --- the way of a result ---------------------------------------------------------------------


def publish(part: Path, target: Path) -> None:
    """Make a finished result visible under its name; `FileExistsError` if the name is taken."""
    settle_name(part, target)


def is_published(part: Path, target: Path) -> bool:
    """The result has its name: the part is gone, or a crash left both names on one file."""
    made = identity(target)
    return made is not None and (not exists(part) or identity(part) == made)


def remove_part(part: Path) -> None:
    """Delete an unfinished result."""
    part.unlink(missing_ok=True)


def explain(
    quarantine: Path,
    reason: dict[str, Any],  # Any: JSON
    later: Syncs | None = None,
) -> None:
    """Write why a picture is rejected, before it goes to that place in quarantine."""
    make_folders(quarantine.parent)
    write_json(reason_file(quarantine), reason, later=later)


def reject(source: Path, quarantine: Path, later: Syncs | None = None) -> None:
    """Put an original into quarantine, where its reason lies already; may be called again."""
    if exists(source):
        archive(source, quarantine, later)


def reinstate(quarantined: Path, place: Path) -> None:
    """Bring a quarantined original back; the reason goes when the file has gone."""
    make_folders(place.parent)
    if exists(place) and is_same_file(place, quarantined):
        quarantined.unlink()
    else:
        move(quarantined, place)
    reason_file(quarantined).unlink(missing_ok=True)


def reason_file(quarantine: Path) -> Path:
    """Where the reason for a quarantined picture stands."""
    room = NAME_MAX_BYTES - len(".json")
    name = os.fsencode(quarantine.name)
    if len(name) > room:
        # Cut between characters, as `files.versioned` does.
        name = name[:room].decode("utf-8", "ignore").encode() or b"picture"
    return quarantine.with_name(f"{os.fsdecode(name)}.json")


# --- drops -----------------------------------------------------------------------------------


def open_drop(
    root: Path, *, local_time: datetime, is_taken: Callable[[Path], bool] = lambda drop: False
) -> Path:
    """Make a new time-stamped folder that is certainly ours.

    ``is_taken`` tells names that are still known though the folder has been taken away.
    """
    make_folders(root)
    name = f"outputs_{local_time:%Y%m%d%H%M%S}"
    version = 1
    while True:
        drop = root / (name if version == 1 else f"{name}_{version}")
        version += 1
        if is_taken(drop):
            continue
        try:
            drop.mkdir(modes.FOLDER)
        except FileExistsError:
            continue
        try:
            sync_folder(root)
            return mark_drop(drop)
        except OSError:
            withdraw_drop(drop)
            raise


def withdraw_drop(drop: Path) -> None:
    """Remove a drop that has just been made and holds nothing but our mark."""
    try:
        (drop / MARKER).unlink(missing_ok=True)
        remove_if_empty(drop)
    except OSError as error:
        logger.warning("%s stays: %s", drop, describe(error))


def drops(root: Path) -> list[Path]:
    """All folders that are named like drops."""
    found = root.iterdir() if root.is_dir() else ()
    return sorted(
        path
        for path in found
        if DROP_NAME.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    )


def mark_drop(drop: Path) -> Path:
    """Leave the mark without which retention never deletes."""
    make_folders(drop)
    with modes.create_text(drop / MARKER) as stream:
        stream.write("This folder was made by cvunetd, which deletes it in time.\n")
        stream.flush()
        os.fsync(stream.fileno())
    return drop


def write_manifest(drop: Path, content: dict[str, Any]) -> None:  # Any: JSON
    """Write or replace a drop's manifest in one step."""
    write_json(drop / MANIFEST, content)


def remove_drop(drop: Path, *, is_expired: Callable[[int], bool] = lambda folder: True) -> bool:
    """Delete a drop with all that is in it; links are removed, never followed.

    ``is_expired`` is asked of the open folder, which is the one that is deleted, whatever happens
    to its path. Mark and manifest go last: what is left after a failure is still known as ours.
    """
    assert DROP_NAME.fullmatch(drop.name)
    with deletion.opened(drop.parent) as root:
        with deletion.opened_below(root, (drop.name,)) as folder:
            if not is_expired(folder):
                return False
            deletion.check_unmounted(drop)
            deletion.clear(folder, spared=(MARKER, MANIFEST))
            deletion.remove_files((MANIFEST, MARKER), folder)
        os.rmdir(drop.name, dir_fd=root)
    return True


def remove_remains(drop: Path) -> bool:
    """Remove a drop that holds nothing, or nothing but our mark; whether it was such a one.

    A deletion that was interrupted at its very end leaves that, and an opening at its beginning.
    """
    assert DROP_NAME.fullmatch(drop.name)
    with deletion.opened(drop.parent) as root:
        with deletion.opened_below(root, (drop.name,)) as folder:
            left = deletion.names(folder)
            if left not in ([], [MARKER]):
                return False
            deletion.remove_files(left, folder)
        os.rmdir(drop.name, dir_fd=root)
    return True


def remove_orphans(folder: Path) -> list[Path]:
    """Delete the unfinished files that a crash left below a folder; only names that we give."""
    found = (path for path in tree.below(folder) if OUR_PART.fullmatch(path.name))
    orphans = [part for part in found if not tree.is_folder(part)]
    for part in orphans:
        part.unlink()
    return orphans
