"""Versions of a picture and the masks that a person has painted: what they begin with, upkeep."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from daemon.disk import files, uploads
from daemon.errors import describe
from daemon.jobs import HotFolder
from daemon.ledger.uploads import Uploads
from daemon.renderings import Rendering

logger = logging.getLogger(__name__)

#: A mask is sent before the upload that names it.
KEEP_S = 3600.0


def base(
    records: Uploads,
    folder: HotFolder,
    note: dict[str, Any],  # Any: JSON
) -> Rendering:
    """Return what the options of an upload are laid over; `ValueError` for what is not there.

    A version of a picture begins as that picture was made, with one more mask if one was sent.
    """
    # The folder's model, too: a new configuration does not change what is accepted.
    own = replace(folder.rendering, model=folder.model or None)
    of = note.get("of")
    if of is None:
        return own
    earlier = records.newest(str(of))
    if earlier is None or earlier.job.folder != folder.name:
        raise ValueError("the picture that it is a version of was deleted")
    upload = earlier.job.upload
    made = (upload and upload.rendering) or own
    mask = note.get("mask")
    if mask is None:
        return made
    if uploads.MASK.fullmatch(str(mask)) is None:
        raise ValueError("a mask has the name of its SHA-256")
    if len(made.touch_ups) >= uploads.MAX_TOUCH_UPS:
        raise ValueError(f"it was touched up {uploads.MAX_TOUCH_UPS} times already")
    return replace(made, touch_ups=(*made.touch_ups, str(mask)))


def tidy(records: Uploads, folder: HotFolder, *, now: float) -> None:
    """Remove masks that no row and no upload names any more; ``now`` in UTC seconds."""
    try:
        for path in list(uploads.old_masks(folder.path, now - KEEP_S)):
            if path.name.startswith(".") or not is_used(records, folder.path, path.stem):
                files.remove(path)
    except OSError as error:
        logger.warning("masks in %s stay: %s", folder.name, describe(error))


def is_used(records: Uploads, root: Path, mask: str) -> bool:
    """Whether a row or a waiting upload names a mask."""
    if records.names_mask(mask):
        return True
    try:
        notes = [uploads.read_note(root, one) for one in uploads.waiting(root)]
    except ValueError:
        return True  # a note that cannot be understood: its picture is rejected soon
    return any(note is not None and note.get("mask") == mask for note in notes)
