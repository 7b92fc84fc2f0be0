"""From a file event to a queued job: settle, claim, add to the ledger."""

import itertools
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from daemon.disk import files, store, tree
from daemon.disk.syncs import Syncs
from daemon.errors import Blame, blame, describe, printable
from daemon.jobs import Hint, HotFolder, Identity, Job
from daemon.ledger.job_queue import JobQueue
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.lifecycle.claim_guard import ClaimGuard, claimed_identity
from daemon.lifecycle.folder_registry import FolderRegistry
from daemon.lifecycle.naming import new_id
from daemon.lifecycle.placement import Placement
from daemon.lifecycle.requeue import AFTER_OTHERS_S
from daemon.lifecycle.standby import Standby
from daemon.log_fields import job_fields
from daemon.messages import FileEvent
from daemon.watching import scan
from daemon.watching.access_errors import AccessErrors, changed_after
from daemon.watching.backlog import Backlog
from daemon.watching.ignored_names import SkippedFolders, why_left
from daemon.watching.inventory import Inventory
from daemon.watching.settle import SettledFile, SettleTracker

logger = logging.getLogger(__name__)

#: How long we wait with a file that cannot be taken though its folder works.
FILE_RETRY_S = 600.0
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
        placement: Placement,
        claims: ClaimGuard,
    ) -> None:
        self.folders = folders
        self.ledger = ledger
        self.records = records
        self.queue = queue
        self.standby = standby
        self.placement = placement
        self.claims = claims
        self.access_errors = AccessErrors()
        self.inventory = Inventory(self.access_errors.read_identity)
        self.settling = SettleTracker(self.inventory.read_identity, on_gone=self.inventory.forget)
        self.found: Counter[tuple[str, str]] = Counter()
        """By folder and way of finding: pictures that were taken."""
        self.hinted: Counter[str] = Counter()
        """By folder: how many events were about a possible picture."""
        self.missed: Counter[str] = Counter()
        """By folder: pictures that came between two sweeps without an event."""
        self.swept_at: dict[str, float] = {}
        self.serials = itertools.count()
        self.syncs = Syncs()
        """What claims have changed and what is not durable yet."""
        self.retry_at: dict[Path, float] = {}
        self.stranded: set[str] = set()
        """Folders that may hold claims without rows, although they are not on standby."""
        self.on_step: Callable[[], object] = lambda: None
        """Called now and then during a long sweep, as a sign of progress."""

    def forget(self, name: str) -> None:
        """Forget a folder that is removed or has other settings: the next sweep finds its files."""
        self.settling.forget_folder(name)
        self.inventory.forget_folder(name)
        for known in (self.hinted, self.missed, self.swept_at):
            known.pop(name, None)

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
        if folder.originals == "keep" and self.records.knows_version(identity, path):
            return
        self.inventory.note_name(folder.name, path, identity)
        if self.inventory.left.leaves(folder, path, monotonic=monotonic):
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
            self.syncs.flush()
        except OSError as error:
            # The files are ours already; if a power cut undoes a rename, it is simply found again.
            logger.warning("claims may not outlive a power cut: %s", describe(error))

    def accept(self, settled: SettledFile, *, monotonic: float, now: float) -> bool:
        """Claim one file and add its job; on an error the file stays."""
        folder = self.folders.get_open(settled.folder)
        if folder is None:
            return False
        if self.standby.has(folder.name) or self.standby.is_away(folder):
            return False  # swept when the folder resumes
        try:
            job = self.claim(folder, settled, now=now)
        except FileNotFoundError as error:
            job = None  # removed meanwhile; nothing was claimed
            self.stranded.add(folder.name)  # unless a share has lost its answer to our rename
            text = "%s has gone before it could be taken: %s"
            logger.info(text, printable(settled.path), describe(error))
        except OSError as error:
            self.note_claim_error(folder, settled, error, monotonic=monotonic)
            return False
        self.backlog.forget(folder.name, settled.path)
        if job is None:
            return False
        self.found[folder.name, job.found_by] += 1
        self.queue.put(job, priority=folder.priority)
        where = "keeps" if folder.originals == "keep" else "claimed"
        logger.info("%s %s", where, printable(settled.path), extra=job_fields(job))
        return True

    def note_claim_error(
        self, folder: HotFolder, settled: SettledFile, error: OSError, *, monotonic: float
    ) -> None:
        """Handle a failed claim: the folder goes on standby, or only this file has to wait."""
        text = f"{printable(settled.path)} cannot be taken: {describe(error)}"
        self.stranded.add(folder.name)
        whose = blame(error)
        if whose is Blame.MACHINE:
            self.standby.enter(folder, text)
            self.retry_at[settled.path] = monotonic + AFTER_OTHERS_S
        elif whose is Blame.UNKNOWN or not self.standby.enter_if_failing(folder, text):
            logger.error("%s; it stays where it is and is tried again later", text)
            self.retry_at[settled.path] = monotonic + FILE_RETRY_S

    def claim(self, folder: HotFolder, settled: SettledFile, *, now: float) -> Job | None:
        """Take the file and write its row; None if there is nothing to take."""
        relative, job_id = settled.path.relative_to(folder.path), new_id(now, next(self.serials))
        found_by = settled.hint.found_by
        self.retry_at.pop(settled.path, None)
        if folder.originals == "keep":
            if tree.leads_over_link(folder.path, relative):
                return None
            identity = self.access_errors.read_identity(settled.path)
            if identity is None or self.records.knows_version(identity, settled.path):
                return None
            return self.add_job(folder, relative, job_id, settled.path, identity, found_by, now=now)
        self.claims.prepare(folder)
        claimed = store.claim(folder.path, relative, job_id, self.syncs)
        identity = claimed_identity(claimed)
        if identity is None and not files.may_be_regular(claimed):
            # A link, pipe or folder was swapped in at the last moment: not ours to take.
            self.put_back(folder, relative, job_id)
            return None
        try:
            return self.add_job(folder, relative, job_id, claimed, identity, found_by, now=now)
        except OSError:
            # No drop can be made: put the file back for its owner.
            self.put_back(folder, relative, job_id)
            raise

    def put_back(self, folder: HotFolder, relative: Path, job_id: str) -> None:
        """Undo a claim; what cannot be put back now is adopted in a while."""
        if not store.unclaim(folder.path, relative, job_id):
            self.stranded.add(folder.name)

    def add_job(  # everything that a row needs
        self,
        folder: HotFolder,
        relative: Path,
        job_id: str,
        source: Path,
        identity: Identity | None,
        found_by: str,
        *,
        now: float,
    ) -> Job:
        """Reserve names and write the row of a file that is ours already."""
        drop, reserved = self.placement.reserve(folder, relative, job_id, now=now)
        job = Job(
            id=job_id,
            folder=folder.name,
            relative=relative,
            source=source,
            target=reserved.target,
            alpha=reserved.alpha,
            archive=reserved.archive,
            drop=drop.id,
            identity=identity or Identity(0, 0, 0, 0),  # a link: the worker refuses to open it
            found_by=found_by,
            added_at=now,
            changed_at=now,
            is_kept=folder.originals == "keep",
        )
        self.ledger.add(job)
        return job
