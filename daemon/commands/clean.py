"""`cvunetd clean`: deletes what is old now, or says what it would delete."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from daemon.commands.startup import check_configured
from daemon.config import folders as hot_folders
from daemon.config import schema as configuration
from daemon.config.schema import Config
from daemon.disk import lock as locks
from daemon.disk.lock import Lock
from daemon.errors import asked_about, printable
from daemon.jobs import HotFolder
from daemon.ledger import ledger as ledgers
from daemon.ledger.ledger import Ledger
from daemon.retention.kept_originals import ledger_access
from daemon.retention.retention import DAY_S, LedgerAccess, Retention


@dataclass(frozen=True, slots=True)
class Places:
    """Where old things may be."""

    folders: list[HotFolder]
    state: Path
    quarantine: Path
    keep_days: float


def clean(
    config_path: Path | None,
    *,
    is_dry: bool,
    start_logging: Callable[[str, str], None],
    local_now: datetime,
) -> Iterator[str]:
    """Yield one line for everything that is or would be deleted. `InstallError` if a daemon runs.

    A running daemon does it itself. The date is trusted: a person has asked, and may check it
    first.
    """
    config, base = configuration.load(config_path)
    check_configured(config_path, config, base)
    start_logging(config.log.level, config.log.format)
    places = find_places(config, base)
    is_anything_old = False
    for line in (dry_run if is_dry else real_run)(places, local_now):
        is_anything_old = True
        yield line
    if not is_anything_old:
        yield f"nothing is older than {places.keep_days:g} days (retention.keep_days)"


def find_places(config: Config, base: Path) -> Places:
    """Return the places from the configuration."""
    return Places(
        folders=hot_folders.all_folders(config, base),
        state=hot_folders.resolve(base, config.state_dir),
        quarantine=hot_folders.resolve(base, config.quarantine_dir),
        keep_days=config.retention.keep_days,
    )


def make_retention(places: Places, ledger_access: LedgerAccess) -> Retention:
    """Return the same retention as the daemon's."""
    return Retention(
        places.folders,
        rejected=places.quarantine,
        keep_days=places.keep_days,
        sweep_s=0.0,
        ledger_access=ledger_access,
        is_trusted=lambda now, monotonic, keep_s: True,
    )


def real_run(places: Places, local_now: datetime) -> Iterator[str]:
    """Delete what is old, and yield it."""
    lock = Lock(places.state / locks.FILE)
    locks.take_all([(lock, f"state folder {places.state}")])
    with closing(Ledger(places.state / ledgers.FILE)) as ledger:
        access = ledger_access(ledger, {folder.name: folder for folder in places.folders})
        retention = make_retention(places, access)
        yield from retention.clean(now=local_now.timestamp(), local_now=local_now)
    lock.release()


def dry_run(places: Places, local_now: datetime) -> Iterator[str]:
    """Yield what would be deleted; deletes nothing."""
    path = places.state / ledgers.FILE
    with asked_about(places.state):
        is_there = path.exists()
    if not is_there:
        yield from planned_deletions(make_retention(places, WITHOUT_LEDGER), places, local_now)
        return
    with closing(Ledger(path, is_read_only=True)) as ledger:
        access = ledger_access(ledger, {folder.name: folder for folder in places.folders})
        yield from planned_deletions(make_retention(places, access), places, local_now)


#: Without a ledger only files and folders on disk can be old.
WITHOUT_LEDGER = LedgerAccess(
    is_open=lambda drop: False,
    forget_drop=lambda drop: None,
    closed_drops=lambda before: (),
    closed_roots=lambda before: (),
    gone_originals=lambda before: (),
    forget_gone=lambda before: 0,
)


def planned_deletions(retention: Retention, places: Places, local_now: datetime) -> Iterator[str]:
    """Yield everything that a real run would delete or forget."""
    before = local_now.timestamp() - places.keep_days * DAY_S
    yield from (f"would delete {printable(old.path)}" for old in retention.old_rejected(before))
    yield from (f"would delete {retention.plan(drop)}" for drop in retention.old_drops(local_now))
    for drop in retention.gone_drops(before, local_now):
        yield f"would forget the pictures of {printable(drop)}, which is gone"
    gone = sum(1 for job in retention.ledger_access.gone_originals(before))
    if gone:
        yield f"would forget {gone} kept originals that are gone"
