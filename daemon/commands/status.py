"""`cvunetd status`: what the daemon is doing, from ledger and report; needs no torch."""

import json
import logging
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daemon.config import folders as hot_folders
from daemon.config import schema as configuration
from daemon.config.schema import Config
from daemon.disk import free_space as disks
from daemon.disk import lock
from daemon.errors import InstallError, LedgerError, describe, printable
from daemon.jobs import HotFolder
from daemon.ledger import ledger as ledgers
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.reporting.report_file import REPORT

logger = logging.getLogger(__name__)

FAILURES = 5
MEGABYTE = 1024 * 1024
#: The time spans of the rates, in seconds.
SPANS = {"minute": 60.0, "hour": 3600.0, "day": 86_400.0}


@dataclass(frozen=True, slots=True)
class FolderStatus:
    """A hot folder, or one that is only in the ledger."""

    name: str
    path: str
    state: str
    """watched, polled, standby, or unknown if no daemon reports it."""
    reason: str
    unclaimed: int | None
    """Files in it that were not taken yet; None if no daemon reports it."""
    oldest_at: float | None
    """Since when the oldest of them has not changed, UTC seconds."""
    jobs: dict[str, int]
    """Rows of the ledger by state."""
    ignored: int | None = None
    """Files in it that are no pictures by their name; None if no daemon reports it."""
    changed: int | None = None
    """Originals that changed after they were cut out; None if no daemon reports it."""
    refused: int | None = None
    """Files in it that cannot be taken; None if no daemon reports it."""
    refusals: list[dict[str, str]] = field(default_factory=list)
    """Some of them: path, reason, and the line that mends it."""
    second: dict[str, int] = field(default_factory=dict)
    """Pictures that a second model was asked about: taken, kept, failed."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A place that needs free space."""

    place: str
    path: str
    needed_mb: float
    free_mb: float | None = None
    free_inodes: int | None = None
    is_read_only: bool = False
    trouble: str = ""
    """Why it cannot be read."""

    @property
    def is_short(self) -> bool:
        """Whether too little space keeps pictures from being taken in."""
        return self.free_inodes == 0 or (self.free_mb is not None and self.free_mb < self.needed_mb)


@dataclass(frozen=True, slots=True)
class Status:
    """Everything that `cvunetd status` shows."""

    pid: int | None
    """None if no daemon runs."""
    report: dict[str, Any]  # Any: JSON
    """The daemon's last report; empty while it loads, and if none runs."""
    folders: list[FolderStatus]
    disks: list[Disk]
    drops: list[dict[str, Any]] = field(default_factory=list)
    """Open output folders."""
    ended: dict[str, dict[str, int]] = field(default_factory=dict)
    """Pictures by time span and state."""
    failures: list[dict[str, Any]] = field(default_factory=list)
    """The newest first."""
    untold: dict[str, int] = field(default_factory=dict)
    """Waiting notices of hooks, by event and name."""
    trouble: str = ""
    """Why the ledger cannot be read."""
    config: str = ""
    """The configuration that was looked at; empty if there is none, and the defaults count."""


def collect(config_path: Path | None, *, now: float) -> Status:
    """Collect the status from all sources; `InstallError` if the configuration is wrong."""
    config, base = configuration.load(config_path)
    folders = hot_folders.all_folders(config, base)
    state = hot_folders.resolve(base, config.state_dir)
    pid, report = running_daemon(state)
    fields, trouble = from_ledger(state / ledgers.FILE, now=now)
    counts = fields.pop("counts", {})
    return Status(
        pid=pid,
        report=report,
        folders=[
            *(folder_status(folder, report, counts.get(folder.name, {})) for folder in folders),
            *(
                unconfigured(name, counts)
                for name in sorted(counts.keys() - {f.name for f in folders})
            ),
        ],
        disks=list(disk_statuses(config, folders, state)),
        trouble=trouble,
        config=str(found.absolute()) if (found := configuration.find(config_path)) else "",
        **fields,
    )


def running_daemon(state: Path) -> tuple[int | None, dict[str, Any]]:  # Any: JSON
    """Return the daemon's process and its report; an earlier process's report is ignored."""
    pid = lock.owner(state / lock.FILE)
    report = read_report(state / REPORT) if pid is not None else {}
    return pid, (report if report.get("pid") == pid else {})


def read_report(path: Path) -> dict[str, Any]:  # Any: JSON
    """Return the daemon's last report; empty if there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        logger.debug("%s cannot be read: %s", path, error)
        return {}
    return content if isinstance(content, dict) else {}


def folder_status(
    folder: HotFolder,
    report: dict[str, Any],  # Any: JSON
    jobs: dict[str, int],
) -> FolderStatus:
    """Return the status of one hot folder."""
    state, reason = "watched" if report else "unknown", ""
    for key in ("polled", "standby"):  # standby is more serious and comes last
        if folder.name in report.get(key, {}):
            state, reason = key, report[key][folder.name]
    known = report.get("folders", {}).get(folder.name, {})
    return FolderStatus(
        name=folder.name,
        path=str(folder.path),
        state=state,
        reason=reason,
        unclaimed=known.get("unclaimed"),
        oldest_at=known.get("oldest_at"),
        jobs=jobs,
        ignored=known.get("ignored"),
        changed=known.get("changed"),
        refused=known.get("refused"),
        refusals=known.get("refusals", []),
        second=known.get("second", {}),
    )


def unconfigured(name: str, counts: dict[str, dict[str, int]]) -> FolderStatus:
    """Return the status of a folder that is no longer in the configuration."""
    reason = "not in the configuration any more"
    return FolderStatus(name, "", "unknown", reason, None, None, counts[name])


def from_ledger(path: Path, *, now: float) -> tuple[dict[str, Any], str]:  # Any: fields of Status
    """Return the fields from the ledger, and why it cannot be read."""
    try:
        if not path.exists():
            return {}, ""
        with closing(Ledger(path, is_read_only=True)) as ledger:
            return ledger_fields(Records(ledger), now=now), ""
    except (InstallError, OSError, LedgerError) as error:
        return {}, f"{path} cannot be read: {error}"


def ledger_fields(records: Records, *, now: float) -> dict[str, Any]:  # Any: fields of Status
    """Return counts, drops, rates, failures."""
    return {
        "counts": records.counts(),
        "drops": [
            {"folder": drop.folder, "path": str(drop.path), "pictures": records.drop_size(drop)}
            for drop in records.open_drops()
        ],
        "ended": {span: records.ended_since(now - seconds) for span, seconds in SPANS.items()},
        "failures": [
            {
                "folder": ending.job.folder,
                "picture": str(ending.job.relative),
                "reason": ending.job.reason,
                "failed_at": ending.ended_at,
                "quarantine": str(ending.job.quarantine) if ending.job.quarantine else None,
            }
            for ending in records.last_failures(FAILURES)
        ],
        "untold": records.waiting_notices(),
    }


def disk_statuses(config: Config, folders: list[HotFolder], state: Path) -> Iterator[Disk]:
    """Yield each output root and the state folder."""
    for place, path in (
        *(("output", root) for root in sorted({folder.output_root for folder in folders})),
        ("state", state),
    ):
        yield disk_status(place, path, needed_mb=config.retention.min_free_mb)


def disk_status(place: str, path: Path, *, needed_mb: float) -> Disk:
    """Return how much room a place has; a share may be dead, or closed to this user."""
    try:
        return Disk(
            place=place,
            path=str(path),
            needed_mb=needed_mb,
            free_mb=round(disks.free_bytes(path) / MEGABYTE, 1),
            free_inodes=disks.free_inodes(path),
            is_read_only=path.is_dir() and disks.is_read_only(path),
        )
    except OSError as error:
        return Disk(place, str(path), needed_mb, trouble=describe(error))


def document(status: Status) -> str:
    """Return everything as JSON; names that are no text are escaped as in the log."""
    return json.dumps(plain(status), indent=2)


def plain(value: Any) -> Any:  # Any: whatever JSON can hold
    """Return dataclasses and odd names as values that JSON can hold."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    slots = getattr(value, "__dataclass_fields__", None)
    return {name: plain(getattr(value, name)) for name in slots} if slots else value
