"""What an event or a sweep has found: whether it may be a picture, and which version of it."""

import logging
from pathlib import Path

from daemon.disk import files, tree
from daemon.errors import describe, printable
from daemon.jobs import Hint, HotFolder, Identity
from daemon.messages import FileEvent
from daemon.watching.ignored_names import has_ignored_part

logger = logging.getLogger(__name__)


def is_relevant(event: FileEvent, folder: HotFolder) -> bool:
    """Whether an event is about a possible picture in the folder."""
    if not event.path.is_relative_to(folder.path):
        return False  # renamed out of the folder
    relative = event.path.relative_to(folder.path)
    if has_ignored_part(relative):
        return False
    if not folder.recursive and (event.hint is Hint.FOLDER or event.path.parent != folder.path):
        return False
    # The name may lead to something newer than the event, such as a link.
    return not tree.leads_over_link(folder.path, relative)


def read_identity(path: Path) -> Identity | None:
    """Return a file's version; None if it is gone, not regular, or unreadable for now."""
    try:
        return files.identity(path)
    except OSError as error:
        logger.debug("%s cannot be looked at: %s", printable(path), describe(error))
        return None


def changed_after(path: Path, moment: float | None) -> bool:
    """Whether a file was made, renamed or changed after a moment, UTC seconds; False for None."""
    try:
        return moment is not None and path.lstat().st_ctime > moment
    except OSError:
        return False  # gone again
