"""`cvunetd status`: what the daemon is doing, from ledger and report; without torch."""

import json
import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from daemon import config as configuration
from daemon import disks, lock
from daemon import folders as hot_folders
from daemon import ledger as ledgers
from daemon.config import Config
from daemon.errors import InstallError, LedgerError, printable
from daemon.ledger import Ledger
from daemon.records import Records
from daemon.report import REPORT

logger = logging.getLogger(__name__)

STATES = ("queued", "running", "done", "failed")
FAILURES = 5
MEGABYTE = 1024 * 1024


def lines(config_path: Path | None) -> Iterator[str]:
    """The report, line by line."""
    config, base = configuration.load(config_path)
    state = hot_folders.resolve(base, config.state_dir)
    report = read_report(state / REPORT)
    owner = lock.owner(state / lock.FILE)
    if report.get("pid") != owner:
        report = {}  # of a life before this one
    yield from header(owner, report)
    yield from standby(report if owner is not None else {})
    yield from polled(report if owner is not None else {})
    yield from read_only(state)
    yield from ledger_lines(config, base, state / ledgers.FILE)


def ledger_lines(config: Config, base: Path, path: Path) -> Iterator[str]:
    """What the ledger tells; why it cannot be read, where it cannot."""
    try:
        if not path.exists():
            return
        with closing(Ledger(path, is_read_only=True)) as ledger:
            yield from table(config, base, Records(ledger))
    except (InstallError, OSError, LedgerError) as error:
        yield f"{path} cannot be read: {error}"


def read_report(path: Path) -> dict[str, Any]:  # Any: JSON
    """What the daemon last wrote of itself; empty if it never did."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        logger.debug("%s cannot be read: %s", path, error)
        return {}
    return content if isinstance(content, dict) else {}


def header(owner: int | None, report: dict[str, Any]) -> Iterator[str]:
    """Is it running, and how busy?"""
    if owner is None:
        yield "cvunetd is not running"
        return
    device = report.get("device", "a device that still loads")
    yield f"cvunetd is running (process {owner}) on {device}"
    if report:
        yield "  " + ", ".join(f"{report[key]} {key}" for key in ("running", "queued", "settling"))
        found = ", ".join(f"{count} by {way}" for way, count in report["found_by"].items())
        yield f"  found since start: {found or 'nothing'}"


def standby(report: dict[str, Any]) -> Iterator[str]:
    """Folders that rest, with the reason."""
    for name, reason in report.get("standby", {}).items():
        yield f"  folder {name} stands by: {reason}"


def polled(report: dict[str, Any]) -> Iterator[str]:
    """Folders that no event tells of, with the reason."""
    for name, reason in report.get("polled", {}).items():
        yield f"  folder {name} is polled: {reason}"


def read_only(state: Path) -> Iterator[str]:
    """A state folder that nobody can write, so that the report in it may be old."""
    if state.is_dir() and disks.is_read_only(state):
        yield f"  state folder {state} is read-only: nothing is taken in until it can be written"


def table(config: Config, base: Path, records: Records) -> Iterator[str]:
    """Jobs by folder and state, open drops, disk, last failures."""
    counts = records.counts()
    yield f"{'folder':<20}" + "".join(f"{state:>10}" for state in STATES)
    for name in sorted(counts):
        yield f"{name:<20}" + "".join(f"{counts[name].get(state, 0):>10}" for state in STATES)
    for drop in records.open_drops():
        yield f"open drop: {printable(drop.path)} ({records.drop_size(drop)} pictures)"
    for root in sorted(
        {f.output_root for f in (hot_folders.hot_folder(config, base, x) for x in config.folders)}
    ):
        yield f"free in {root}: {disks.free_bytes(root) / MEGABYTE:.0f} MB"
    for ending in records.last_failures(FAILURES):
        yield f"failed: {printable(ending.job.relative)}: {ending.job.reason}"
