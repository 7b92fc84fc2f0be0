"""What came with an upload: read when its picture is claimed, removed when its row is committed."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from daemon.disk import uploads
from daemon.errors import describe, printable
from daemon.jobs import HotFolder, Upload
from daemon.ledger.uploads import Uploads
from daemon.renderings import Rendering

logger = logging.getLogger(__name__)

#: How often all upload folders are looked at; each taken one is also removed at once.
TIDY_S = 60.0
#: From a folder's rendering and the options of a note; `ValueError` if they are wrong.
Render = Callable[[Rendering, dict[str, Any]], Rendering]  # Any: JSON


def no_options(rendering: Rendering, options: dict[str, Any]) -> Rendering:
    """Return the folder's own rendering, for services without uploads."""
    if options:
        raise ValueError("options are not understood here")
    return rendering


class UploadNotes:
    """Reads notes again that the server has checked: others may be able to write them."""

    def __init__(self, records: Uploads, render: Render = no_options) -> None:
        self.records = records
        self.render = render
        self.taken: list[tuple[Path, str]] = []
        """Hot folders and uploads whose rows are about to be committed."""
        self.next_look = 0.0

    def read(self, folder: HotFolder, relative: Path) -> Upload | None:
        """Return what came with a picture; None if it is no upload.

        A note that cannot be understood gives an upload with a fault: its picture is rejected.
        """
        upload_id = uploads.id_of(relative) if folder.has_uploads else None
        if upload_id is None:
            return None
        self.taken.append((folder.path, upload_id))
        try:
            note = uploads.read_note(folder.path, upload_id)
            if note is None:  # it is tried again
                earlier = self.records.newest(upload_id)
                return Upload(upload_id) if earlier is None else earlier.job.upload
            options = note.get("options") or {}
            # The folder's model, too: a new configuration does not change what is accepted.
            own = replace(folder.rendering, model=folder.model or None)
            rendering = self.render(own, options)
            sha256 = str(note.get("sha256", ""))
        except (ValueError, TypeError, AttributeError) as error:
            text = f"its options cannot be understood: {describe(error)}"
            return Upload(upload_id, fault=text)
        return Upload(upload_id, rendering=rendering, sha256=sha256)

    def tidy(self, folders: list[HotFolder], *, monotonic: float) -> None:
        """Remove the folders of uploads whose rows are committed."""
        taken, self.taken = self.taken, []
        if monotonic >= self.next_look:
            self.next_look = monotonic + TIDY_S
            taken = [(one.path, name) for one in folders for name in self.waiting(one)]
        for root, upload_id in taken:
            try:
                if self.records.has(upload_id) and not uploads.has_picture(root, upload_id):
                    uploads.remove(root, upload_id)
            except OSError as error:
                logger.warning("%s stays: %s", printable(root / upload_id), describe(error))

    def waiting(self, folder: HotFolder) -> list[str]:
        """Return the uploads of a folder; none if it cannot be read now."""
        try:
            return uploads.waiting(folder.path) if folder.has_uploads else []
        except OSError as error:
            logger.debug("folder %s cannot be looked into: %s", folder.name, describe(error))
            return []
