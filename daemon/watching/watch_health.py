"""How each hot folder is heard: by events or, where they do not come, by looking often; and why."""

import errno
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import inf

from daemon.disk import files, mounts
from daemon.errors import explain, printable
from daemon.jobs import HotFolder
from daemon.watching import inotify_limits as limits
from daemon.watching import scan
from daemon.watching.canary import Canary
from daemon.watching.watch import Watcher

logger = logging.getLogger(__name__)

POLL_S = 5.0  # the sweep of folders whose events do not arrive
CHECK_S = 5.0
#: Setting the watches of a large tree takes some time, and leaves other programs none meanwhile.
RETRY_S = 300.0
#: So many pictures without an event are no accident; so many events without such a picture neither.
MANY = 10


@dataclass(frozen=True, slots=True)
class Polled:
    """Why a folder is looked at often, and when a watch is tried again."""

    reason: str
    retry_at: float
    """On the monotonic clock."""
    limits: tuple[int, ...] = field(default_factory=limits.values)
    """What the kernel allowed then: with other limits a watch is tried at once."""


class WatchHealth:
    """Decides folder by folder whether events are relied upon."""

    def __init__(self, watcher: Watcher | None) -> None:
        """No watcher where there is only one look: `once` and `batch`."""
        self.watcher = watcher
        self.canary = Canary()
        self.polled: dict[str, Polled] = {}
        self.unheeded: set[str] = set()
        """Polled folders whose watch works, but does not tell of other machines' pictures."""
        self.weighed: dict[str, tuple[int, int]] = {}
        self.vouched: set[str] = set()
        """Folders with an event, or a new watch, just before the sweep that is weighed next."""
        self.excused: set[str] = set()
        """Folders whose next sweep finds what the kernel has told us that it did not tell."""
        self.next_check = 0.0

    def start(self) -> None:
        """Begin; folders are watched when they are attended to."""
        if self.watcher is not None:
            self.watcher.start()

    def forget(self, folder: HotFolder) -> None:
        """Let go of a folder that goes or has other settings; a sweep begins with it anew."""
        if self.watcher is not None:
            self.watcher.remove(folder)
        self.canary.forget(folder.name)
        self.polled.pop(folder.name, None)
        self.weighed.pop(folder.name, None)
        self.unheeded.discard(folder.name)
        self.vouched.discard(folder.name)
        self.excused.discard(folder.name)

    def stop(self) -> None:
        """End all watches."""
        if self.watcher is not None:
            self.watcher.stop()

    @property
    def reasons(self) -> dict[str, str]:
        """Why folders are polled, by name."""
        return {name: polled.reason for name, polled in self.polled.items()}

    def is_polled(self, folder: HotFolder) -> bool:
        """Events of this folder are not relied upon."""
        return folder.name in self.polled

    # --- at each sweep ----------------------------------------------------------------------

    def attend(self, folder: HotFolder, *, monotonic: float) -> None:
        """Set or mend a folder's watch; `OSError` tells that the folder itself is in trouble."""
        if self.watcher is None:
            return
        silence = silence_of(folder)
        if silence:
            self.watcher.remove(folder)
            self.canary.forget(folder.name)
            self.poll(folder, Polled(silence, monotonic), level=logging.INFO)
        elif self.is_time(folder, monotonic=monotonic):
            self.listen(folder, self.watcher, monotonic=monotonic)

    def is_time(self, folder: HotFolder, *, monotonic: float) -> bool:
        """The folder is watched, or may be again: its time has come or the limits are others."""
        polled = self.polled.get(folder.name)
        if polled is None or folder.name in self.unheeded or monotonic >= polled.retry_at:
            return True
        return polled.limits != limits.values()

    def listen(self, folder: HotFolder, watcher: Watcher, *, monotonic: float) -> None:
        """Make sure of all the watches that a folder needs, then let the canary prove them."""
        try:
            if watcher.is_deaf(folder):
                self.renew(folder, watcher)
            missing = watcher.missing(folder)
            if missing:  # a folder may have come while we looked, or its mode have been mended
                self.renew(folder, watcher)
                missing &= watcher.missing(folder)
            if missing:
                raise OSError(errno.ENOSPC, f"{len(missing)} folders in it got no inotify watch")
        except OSError as error:
            if not files.is_folder(folder.path):
                raise
            self.give_up(folder, watcher, error, monotonic=monotonic)
            return
        if self.canary.sing(folder, monotonic=monotonic):
            self.put_off(folder, monotonic=monotonic)
        elif folder.name not in self.unheeded:
            self.trust(folder.name)

    def put_off(self, folder: HotFolder, *, monotonic: float) -> None:
        """A watch is on trial; should the canary not be heard, it gets another in a while."""
        polled = self.polled.get(folder.name)
        if polled is not None:
            retry_at = monotonic + RETRY_S
            self.polled[folder.name] = replace(polled, retry_at=retry_at, limits=limits.values())

    def renew(self, folder: HotFolder, watcher: Watcher) -> None:
        """Watch a folder anew; what the next sweep finds there came before."""
        self.canary.forget(folder.name)
        self.vouched.add(folder.name)
        if folder.name in self.unheeded:
            self.trust(folder.name)  # it may be another folder by now
        watcher.remove(folder)
        watcher.add(folder)

    def give_up(
        self, folder: HotFolder, watcher: Watcher, error: OSError, *, monotonic: float
    ) -> None:
        """Poll a folder that cannot be watched, and leave its watches to others."""
        watcher.remove(folder)
        self.canary.forget(folder.name)
        text = explain(error)
        needed = sum(1 for _ in scan.folders(folder.path, is_deep=folder.recursive))
        advice = limits.advice(error.errno, needed=needed)
        reason = f"{text}; allow more: {advice}" if advice else text
        self.poll(folder, Polled(reason, monotonic + RETRY_S))

    # --- between sweeps ---------------------------------------------------------------------

    def hear(self, name: str) -> None:
        """An event of a folder has come, whatever it tells: the folder's watch works."""
        if self.canary.hear(name) and name not in self.unheeded:
            self.trust(name)

    def check(self, folders: Iterable[HotFolder], *, monotonic: float, is_idle: bool) -> list[str]:
        """Names of folders to be looked at now: their watch broke, or the canary was not heard.

        ``is_idle``: no message waits, so that an event that has not come is not just late.
        """
        if self.watcher is None or monotonic < self.next_check:
            return []
        self.next_check = monotonic + CHECK_S
        return [
            folder.name
            for folder in folders
            if self.is_broken(folder, self.watcher)
            or (is_idle and self.is_unheard(folder, self.watcher, monotonic=monotonic))
        ]

    def is_broken(self, folder: HotFolder, watcher: Watcher) -> bool:
        """A folder that is watched has become another, or its watch has gone."""
        if folder.name in self.polled and folder.name not in self.unheeded:
            return False
        try:
            return watcher.is_deaf(folder)
        except OSError:
            return True  # the sweep will say why

    def is_unheard(self, folder: HotFolder, watcher: Watcher, *, monotonic: float) -> bool:
        """The canary sang in vain, twice; then the folder is polled from now on."""
        if watcher.is_busy or not self.canary.is_overdue(folder.name, monotonic=monotonic):
            return False
        if self.canary.sing_again(folder, monotonic=monotonic):
            return False
        if folder.name in self.polled and folder.name not in self.unheeded:
            return False  # known; tried again in its time
        self.poll(folder, Polled("no event came of a file that we touched there", monotonic))
        # Most likely a thread of the library has died: all watches begin anew, once.
        watcher.reset()
        return True

    # --- by what was found ------------------------------------------------------------------

    def excuse(self, name: str) -> None:
        """Events were lost on the way, which is known: what is found now is nobody's silence."""
        self.excused.add(name)

    def weigh(self, folder: HotFolder, *, hinted: int, missed: int) -> None:
        """Compare what events told of with what came and was found by sweeps alone; both totals."""
        name = folder.name
        before = self.weighed.setdefault(name, (hinted, missed))
        told, alone = hinted - before[0], missed - before[1]
        if name in self.unheeded:
            if told >= MANY and not alone:
                self.trust(name)
            is_weighed = bool(alone)
        else:
            is_weighed = bool(told) or name in self.polled or name in self.vouched
            if alone >= MANY and not is_weighed and self.watcher is not None:
                text = f"events do not arrive: {alone} pictures came without one"
                self.poll(folder, Polled(text, inf))
                self.unheeded.add(name)
            is_vouched = bool(told) or name in self.excused
            self.vouched = self.vouched | {name} if is_vouched else self.vouched - {name}
        self.excused.discard(name)
        if is_weighed:
            self.weighed[name] = hinted, missed

    # --- telling ----------------------------------------------------------------------------

    def poll(self, folder: HotFolder, polled: Polled, *, level: int = logging.WARNING) -> None:
        """Begin to look often, and say so once."""
        if folder.name not in self.polled:
            text = "folder %s (%s) is polled every %g s: %s"
            place = printable(folder.path)
            fields = {"HOT_FOLDER": folder.name, "ERROR": polled.reason}
            logger.log(level, text, folder.name, place, POLL_S, polled.reason, extra=fields)
        self.polled[folder.name] = polled
        self.unheeded.discard(folder.name)

    def trust(self, name: str) -> None:
        """Rely on events from now on, and say so if that is news."""
        self.unheeded.discard(name)
        if self.polled.pop(name, None) is not None:
            logger.warning("folder %s is watched again: events arrive", name)


def silence_of(folder: HotFolder) -> str:
    """Why events of this folder are not even tried; empty if they are."""
    if folder.watch == "polling":
        return "set so (folders[].watch)"
    kind = scan.file_system(folder.path, mounts.read())
    if folder.watch == "auto" and scan.is_silent(kind):
        return f"{kind} tells nothing of what other machines write"
    return ""
