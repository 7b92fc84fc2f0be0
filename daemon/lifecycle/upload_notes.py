"""What came with an upload: read when its picture is claimed, removed when its row is committed."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from daemon.disk import uploads
from daemon.errors import describe, printable
from daemon.jobs import HotFolder, Upload
from daemon.ledger.uploads import Uploads
from daemon.lifecycle import touch_ups
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

    def __init__(
        self,
        records: Uploads,
        render: Render = no_options,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``clock`` is UTC seconds: the age of masks is that of their files."""
        self.records = records
        self.render = render
        self.taken: list[tuple[Path, str]] = []
        """Hot folders and uploads whose rows are about to be committed."""
        self.next_look = 0.0
        self.next_mask_look = 0.0
        self.clock = clock

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
            rendering = self.render(touch_ups.base(self.records, folder, note), options)
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
            self.tidy_masks(folders, monotonic=monotonic)
            taken = [(one.path, name) for one in folders for name in self.waiting(one)]
        for root, upload_id in taken:
            try:
                if self.records.has(upload_id) and not uploads.has_picture(root, upload_id):
                    uploads.remove(root, upload_id)
            except OSError as error:
                logger.warning("%s stays: %s", printable(root / upload_id), describe(error))

    def tidy_masks(self, folders: list[HotFolder], *, monotonic: float) -> None:
        """Remove masks that nothing names any more, from time to time."""
        if monotonic < self.next_mask_look:
            return
        self.next_mask_look = monotonic + touch_ups.KEEP_S
        for folder in folders:
            if folder.has_uploads:
                touch_ups.tidy(self.records, folder, now=self.clock())

    def waiting(self, folder: HotFolder) -> list[str]:
        """Return the uploads of a folder; none if it cannot be read now."""
        try:
            return uploads.waiting(folder.path) if folder.has_uploads else []
        except OSError as error:
            logger.debug("folder %s cannot be looked into: %s", folder.name, describe(error))
            return []
