"""From a file event to a queued job: settle, claim, add to the ledger."""

import logging
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from daemon.errors import Blame, blame, describe, printable
from daemon.jobs import Hint, HotFolder
from daemon.ledger.job_queue import JobQueue
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.lifecycle import kept_versions
from daemon.lifecycle.claiming import Claiming
from daemon.lifecycle.deferral import DEFERRALS
from daemon.lifecycle.folder_registry import FolderRegistry
from daemon.lifecycle.requeue import AFTER_OTHERS_S
from daemon.lifecycle.standby import Standby
from daemon.log_fields import job_fields
from daemon.messages import FileEvent
from daemon.watching import refusals, scan
from daemon.watching.access_errors import changed_after
from daemon.watching.backlog import Backlog
from daemon.watching.ignored_names import SkippedFolders, why_left
from daemon.watching.inventory import Inventory
from daemon.watching.settle import SettledFile, SettleTracker
from daemon.watching.writers import Writers
from daemon.worker.clips import kinds

logger = logging.getLogger(__name__)

#: How long we wait with a file that cannot be taken though its folder works.
FILE_RETRY_S = 600.0
#: A clip waits so long in its folder while as many as may be queued are.
CLIP_WAIT_S = 10.0
#: After so many files a sweep reports progress; on a slow share that takes some seconds.
STEP_FILES = 200
WAYS = tuple(dict.fromkeys(hint.found_by for hint in Hint))


class Intake:
    """Takes pictures out of hot folders once they are complete and the queue has room."""

    def __init__(
        self,
        folders: FolderRegistry,
        *,
        ledger: Ledger,
        records: Records,
        queue: JobQueue,
        standby: Standby,
        claiming: Claiming,
    ) -> None:
        self.folders = folders
        self.ledger = ledger
        self.records = records
        self.queue = queue
        self.standby = standby
        self.claiming = claiming
        self.access_errors = claiming.access_errors
        self.inventory = Inventory(self.access_errors.read_identity)
        self.settling = SettleTracker(self.inventory.read_identity, on_gone=self.forget_file)
        self.writers = Writers()
        self.found: Counter[tuple[str, str]] = Counter()
        """By folder and way of finding: pictures that were taken."""
        self.hinted: Counter[str] = Counter()
        """By folder: how many events were about a possible picture."""
        self.missed: Counter[str] = Counter()
        """By folder: pictures that came between two sweeps without an event."""
        self.swept_at: dict[str, float] = {}
        self.retry_at: dict[Path, float] = {}
        self.on_step: Callable[[], object] = lambda: None
        """Called now and then during a long sweep, as a sign of progress."""

    def forget(self, name: str) -> None:
        """Forget a folder that is removed or has other settings: the next sweep finds its files."""
        self.settling.forget_folder(name)
        self.writers.keep_only(self.settling.files)
        self.inventory.forget_folder(name)
        for known in (self.hinted, self.missed, self.swept_at):
            known.pop(name, None)

    def forget_file(self, name: str, path: Path) -> None:
        """Forget a file that has gone."""
        self.inventory.forget(name, path)
        self.writers.forget(path)

    @property
    def backlog(self) -> Backlog:
        """Return what waits to be taken."""
        return self.inventory.backlog

    @property
    def found_by(self) -> Counter[str]:
        """Return how pictures were found, over all folders."""
        total: Counter[str] = Counter()
        for (_, way), count in self.found.items():
            total[way] += count
        return total

    def found_in(self, folder: str) -> dict[str, int]:
        """Return how one folder's pictures were found, including zeros for metrics."""
        return {way: self.found[folder, way] for way in WAYS}

    def handle_event(self, event: FileEvent, *, monotonic: float, now: float) -> None:
        """Act on a file event."""
        folder = self.folders.get_open(event.folder)
        if folder is None or not self.access_errors.is_relevant(event, folder):
            return
        self.hinted[folder.name] += 1
        if self.standby.has(folder.name):
            is_file = event.hint is not Hint.FOLDER  # not taken now, but it counts as waiting
            identity = self.access_errors.read_identity(event.path) if is_file else None
            if identity is not None and not why_left(event.path, folder):
                self.backlog.note(folder.name, event.path, identity, monotonic=monotonic, now=now)
            return
        if event.hint is Hint.FOLDER:
            self.scan(folder, event.path, Hint.CREATED, monotonic=monotonic, now=now)
            return
        self.track(folder, event.path, event.hint, monotonic=monotonic, now=now)

    def sweep(self, folder: HotFolder, hint: Hint, *, monotonic: float, now: float) -> None:
        """Check everything in a folder, independent of events."""
        if self.standby.has(folder.name):
            with suppress(OSError):  # a folder above is closed to us: all of it still counts
                if not self.standby.absence(folder):
                    self.backlog.forget_gone(folder.name)
            return
        self.retry_at = {path: until for path, until in self.retry_at.items() if until > monotonic}
        self.access_errors.begin_sweep()
        self.scan(folder, folder.path, hint, monotonic=monotonic, now=now)
        if not self.standby.has(folder.name):  # else the sweep is incomplete
            self.inventory.end_sweep(folder.name, monotonic=monotonic)
            self.access_errors.end_sweep(folder.path)
        self.swept_at[folder.name] = now

    def scan(
        self, folder: HotFolder, top: Path, hint: Hint, *, monotonic: float, now: float
    ) -> None:
        """Track all pictures below ``top``."""
        try:
            found = scan.pictures(
                top,
                recursive=folder.recursive,
                skipped=SkippedFolders(folder),
                on_closed=self.access_errors.note,
            )
            for number, path in enumerate(found):
                if number % STEP_FILES == 0:
                    self.on_step()
                self.track(folder, path, hint, monotonic=monotonic, now=now)
        except OSError as error:
            if top == folder.path:
                self.standby.enter(folder, describe(error))
            else:
                self.access_errors.note(top, error)

    def track(
        self, folder: HotFolder, path: Path, hint: Hint, *, monotonic: float, now: float
    ) -> None:
        """Check one file for changes until it is complete."""
        identity = self.access_errors.read_identity(path)
        if identity is None:
            return
        if folder.originals == "keep" and kept_versions.is_taken(self.records, identity, path):
            return
        self.inventory.note_name(folder.name, path, identity)
        if self.inventory.left.leaves(folder, path, identity, monotonic=monotonic):
            return
        self.backlog.note(folder.name, path, identity, monotonic=monotonic, now=now)
        if monotonic < self.retry_at.get(path, 0.0):
            return
        if hint is Hint.SWEEP and path not in self.settling.files:
            self.missed[folder.name] += changed_after(path, self.swept_at.get(folder.name))
        # An empty file may be a placeholder, but not endlessly.
        is_old = now - identity.mtime_ns / 1e9 >= folder.defer_s
        self.settling.track(
            folder.name,
            path,
            hint,
            settle_s=folder.settle_s,
            empty_s=folder.settle_s if is_old else folder.defer_s,
            now=monotonic,
        )

    def take_in(self, *, monotonic: float, now: float) -> int:
        """Claim complete files, if the queue has room, in one commit; return how many."""
        ready = list(self.settling.take_settled(monotonic, limit=self.queue.room))
        if not ready:
            return 0
        with self.ledger.transaction():  # if it fails, claims without rows are adopted later
            taken = sum(self.accept(settled, monotonic=monotonic, now=now) for settled in ready)
            self.make_durable()
        return taken

    def make_durable(self) -> None:
        """Wait for the disk once, for all claims, before their rows are committed."""
        try:
            self.claiming.syncs.flush()
        except OSError as error:
            # The files are ours already; if a power cut undoes a rename, it is simply found again.
            logger.warning("a power cut may undo claims: %s", describe(error))

    def accept(self, settled: SettledFile, *, monotonic: float, now: float) -> bool:
        """Claim one file and add its job; on an error the file stays."""
        folder = self.folders.get_open(settled.folder)
        if folder is None:
            return False
        if self.standby.has(folder.name) or self.standby.is_away(folder):
            return False  # swept when the folder resumes
        self.retry_at.pop(settled.path, None)
        if self.leaves_clip(folder, settled, monotonic=monotonic):
            return False
        if self.leaves_to_writer(folder, settled, monotonic=monotonic, now=now):
            return False
        try:
            job = self.claiming.claim(folder, settled, now=now)
        except FileNotFoundError as error:
            job = None  # removed meanwhile; nothing was claimed
            # Unless a share has lost its answer to our rename.
            self.claiming.stranded.add(folder.name)
            text = "%s has gone before it could be taken: %s"
            logger.info(text, printable(settled.path), describe(error))
        except OSError as error:
            self.note_claim_error(folder, settled, error, monotonic=monotonic)
            return False
        self.inventory.note_taken(folder.name, settled.path)
        if job is None:
            return False
        self.found[folder.name, job.found_by] += 1
        self.queue.put(job, priority=folder.priority)
        where = "keeps" if folder.originals == "keep" else "claimed"
        logger.info("%s %s", where, printable(settled.path), extra=job_fields(job))
        return True

    def leaves_clip(self, folder: HotFolder, settled: SettledFile, *, monotonic: float) -> bool:
        """Whether a file is a clip that is not taken: never, or not as long as others wait."""
        is_full = folder.clips == "cut" and not self.queue.has_room_for_clip
        if not (folder.clips == "ignore" or is_full) or not kinds.kind_of(settled.path):
            return False
        if is_full:
            self.settling.hold(settled, until=monotonic + CLIP_WAIT_S)
        else:
            self.inventory.note_taken(folder.name, settled.path)
            self.inventory.left.leave_clip(
                folder, settled.path, settled.identity, monotonic=monotonic
            )
        return True

    def leaves_to_writer(
        self, folder: HotFolder, settled: SettledFile, *, monotonic: float, now: float
    ) -> bool:
        """Whether a program has the file open for writing; then it is asked again later."""
        is_held = self.writers.holds(
            settled.path, settled.identity, defer_s=folder.defer_s, monotonic=monotonic, now=now
        )
        if is_held:
            wait_s = max(folder.defer_s / DEFERRALS, folder.settle_s)
            self.settling.hold(settled, until=monotonic + wait_s)
        return is_held

    def note_claim_error(
        self, folder: HotFolder, settled: SettledFile, error: OSError, *, monotonic: float
    ) -> None:
        """Handle a failed claim: the folder goes on standby, or only this file has to wait."""
        text = f"{printable(settled.path)} cannot be taken: {describe(error)}"
        self.claiming.stranded.add(folder.name)
        whose = blame(error)
        if whose is Blame.MACHINE:
            self.standby.enter(folder, text)
            self.retry_at[settled.path] = monotonic + AFTER_OTHERS_S
        elif whose is Blame.UNKNOWN or not self.standby.enter_if_failing(folder, text):
            self.refuse(folder, settled.path, error)
            self.retry_at[settled.path] = monotonic + FILE_RETRY_S

    def refuse(self, folder: HotFolder, path: Path, error: OSError) -> None:
        """Note why one file cannot be taken, and tell it once for all files beside it."""
        asker = refusals.ourselves()
        refusal = refusals.find(folder, path, asker) or refusals.of_error(path, error, asker)
        is_new = self.inventory.refused.note(folder.name, path, refusal)
        text = "%s cannot be taken: %s; it stays where it is and is tried again in %.0f min"
        level = logging.ERROR if is_new else logging.DEBUG
        fields = {"HOT_FOLDER": folder.name, "SOURCE": printable(path), "ERROR": refusal.reason}
        minutes = FILE_RETRY_S / 60
        logger.log(level, text, printable(path), refusal.text, minutes, extra=fields)
