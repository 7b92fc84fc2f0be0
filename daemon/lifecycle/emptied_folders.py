"""Removes sub-folders of hot folders whose pictures are all taken (``folders[].prune``)."""

import logging

from daemon.disk import deletion
from daemon.errors import describe, printable
from daemon.jobs import HotFolder
from daemon.watching import scan
from daemon.watching.ignored_names import SkippedFolders

logger = logging.getLogger(__name__)

#: A folder that changed more recently may be about to be filled.
FRESH_S = 300.0


def prune(folder: HotFolder, *, now: float) -> None:
    """Remove the sub-folders that are empty and have not changed for a while; others stay.

    Folders that are never entered stay, too. A file that arrives at the same moment is safe: a
    folder that holds one cannot be removed.
    """
    if not (folder.prune and folder.recursive):
        return
    before_ns = int((now - FRESH_S) * 1e9)
    try:
        found = list(scan.folders(folder.path, is_deep=True, skipped=SkippedFolders(folder)))
    except OSError as error:
        logger.debug("%s cannot be looked at: %s", printable(folder.path), describe(error))
        return
    for path in reversed(found[1:]):  # the first is the hot folder itself
        parts = path.relative_to(folder.path).parts
        try:
            is_gone = deletion.remove_emptied(folder.path, parts, before_ns=before_ns)
        except OSError as error:
            logger.debug("%s stays: %s", printable(path), describe(error))
            continue
        if is_gone:
            fields = {"HOT_FOLDER": folder.name}
            logger.info("removed emptied folder %s", printable(path), extra=fields)
