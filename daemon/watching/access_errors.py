"""What cannot be looked at in a hot folder: told once, and tried again by the next sweep."""

import errno
import logging
from pathlib import Path

from daemon.disk import tree
from daemon.errors import explain, printable
from daemon.jobs import Hint, HotFolder, Identity
from daemon.messages import FileEvent
from daemon.watching.ignored_names import has_ignored_part

logger = logging.getLogger(__name__)

#: Somebody has taken it away: no trouble.
GONE = frozenset({errno.ENOENT, errno.ENOTDIR})


class AccessErrors:
    """Looks, and tells of what cannot be looked at: each place and reason once."""

    def __init__(self) -> None:
        self.closed: dict[Path, str] = {}
        """Folders with something that cannot be looked at now, and why."""
        self.met: set[Path] = set()
        """Those that the sweep which is going on has met."""

    def read_identity(self, path: Path) -> Identity | None:
        """Return a file's version; None if it is gone, not regular, or unreadable for now."""
        try:
            return Identity.of(path.lstat())  # only a look: a claim goes by descriptors
        except OSError as error:
            self.note(path.parent, error)
            return None

    def is_relevant(self, event: FileEvent, folder: HotFolder) -> bool:
        """Whether an event is about a possible picture in the folder."""
        try:
            relative = event.path.relative_to(folder.path)
        except ValueError:  # renamed out of the folder
            return False
        if has_ignored_part(relative):
            return False
        if not folder.recursive and (event.hint is Hint.FOLDER or event.path.parent != folder.path):
            return False
        try:
            # The name may lead to something newer than the event, such as a link.
            return not tree.leads_over_link(folder.path, relative)
        except OSError as error:
            self.note(event.path.parent, error)
            return False

    def note(self, folder: Path, error: OSError) -> None:
        """Something in a folder cannot be looked at; the next sweep tries again."""
        if error.errno in GONE:
            return
        reason = explain(error)
        self.met.add(folder)
        if self.closed.get(folder) != reason:
            self.closed[folder] = reason
            text = "%s cannot be looked into, its pictures wait: %s"
            logger.warning(text, printable(folder), reason)

    def begin_sweep(self) -> None:
        """All of a folder is looked at now."""
        self.met.clear()

    def end_sweep(self, top: Path) -> None:
        """What the sweep has not met is well again, or gone."""
        for folder in [one for one in self.closed if one.is_relative_to(top)]:
            if folder not in self.met:
                del self.closed[folder]
                logger.info("%s can be looked into again", printable(folder))


def changed_after(path: Path, moment: float | None) -> bool:
    """Whether a file was made, renamed or changed after a moment, UTC seconds; False for None."""
    try:
        return moment is not None and path.lstat().st_ctime > moment
    except OSError:
        return False  # gone again
