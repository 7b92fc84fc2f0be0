"""Checks of folders: file systems, overlaps, free space."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from daemon.commands.findings import CheckContext, Finding, failed, passed, warned
from daemon.config import overlaps as overlapping
from daemon.disk import free_space, mounts, tree
from daemon.jobs import HotFolder
from daemon.watching import scan, watch_health

MEGABYTE = 1024 * 1024
#: File systems whose content is lost when the machine restarts.
VOLATILE = frozenset({"tmpfs", "ramfs"})
FEW_INODES = 1000


def file_systems(context: CheckContext) -> Iterator[Finding]:
    """Check the type of each folder's file system."""
    table = mounts.read()
    for folder in context.folders:
        yield check_hot_folder(folder, table)
    for path in context.outputs:
        yield check_store("output", path, table, "output.root")
    yield check_state(context.state, table)


def check_hot_folder(folder: HotFolder, table: str) -> Finding:
    """Check whether events arrive, and whether a rename reaches the output."""
    check = f"file system of {folder.name}"
    kind = scan.file_system(folder.path, table)
    if scan.is_remote(kind) and folder.watch == "inotify":
        text = f"{folder.path} is on {kind}, which tells nothing of what other machines write"
        return warned(check, text, f"in the configuration, at folder {folder.name}: watch: auto")
    how = f"polled, {why}" if (why := watch_health.why_polled(folder)) else "watched"
    here, there = tree.nearest_existing(folder.path), tree.nearest_existing(folder.output_root)
    if folder.originals == "archive" and here.stat().st_dev != there.stat().st_dev:
        text = (
            f"{folder.path} ({kind}) and {folder.output_root} are on two disks:"
            " originals are copied there instead of being renamed"
        )
        root = folder.path.parent / "outputs"
        return warned(check, text, f"in the configuration: output: {{root: {root}}}")
    return passed(check, f"{folder.path} is on {kind}: {how}")


def check_store(what: str, path: Path, table: str, key: str) -> Finding:
    """Check a place for what should last."""
    check = f"file system of {what}"
    kind = scan.file_system(tree.nearest_existing(path), table)
    if kind in VOLATILE:
        text = f"{path} is on {kind}: all of it is lost when the machine starts anew"
        return warned(check, text, f"in the configuration: {key}: a folder on a disk")
    return passed(check, f"{path} is on {kind}")


def check_state(path: Path, table: str) -> Finding:
    """Check the state folder: the ledger needs working locks and shared memory."""
    kind = scan.file_system(tree.nearest_existing(path), table)
    if scan.is_remote(kind):
        text = f"{path} is on {kind}: SQLite's write-ahead log does not work there"
        return failed(
            "file system of state", text, "in the configuration: state_dir: /var/lib/cvunetd"
        )
    return check_store("state", path, table, "state_dir")


def overlaps(context: CheckContext) -> Iterator[Finding]:
    """Check for paths inside each other, and folders that share a name."""
    faults = [
        *overlapping.duplicate_names(context.folders),
        *overlapping.overlaps(context.folders, context.state, context.quarantine),
    ]
    for fault in faults:
        text, _, mend = fault.partition(": ")
        yield failed("overlapping paths", text, f"in {context.config_path}: {mend}")
    if not faults:
        yield passed("overlapping paths", "no folder lies inside another")


def room(context: CheckContext) -> Iterator[Finding]:
    """Check free space and inodes where we write."""
    places = [("output", path) for path in context.outputs]
    for what, path in (*places, ("state", context.state), ("quarantine", context.quarantine)):
        needed_mb = context.config.retention.min_free_mb if what != "quarantine" else 0.0
        yield check_room(what, path, needed_mb)


def check_room(what: str, path: Path, needed_mb: float) -> Finding:
    """Check one place."""
    check = f"room for {what}"
    free_mb, inodes = free_space.free_bytes(path) / MEGABYTE, free_space.free_inodes(path)
    here = shlex.quote(str(next(one for one in (path, *path.parents) if one.is_mount())))
    counted = "" if inodes is None else f", {inodes} free inodes"
    text = f"{path} has {free_mb:.0f} MB{counted}; needed {needed_mb:.0f} MB"
    find = f"see what takes the room: du -xh --max-depth=2 {here} | sort -h | tail"
    if free_mb < needed_mb:
        return failed(check, text, f"{find}; or set retention.min_free_mb lower")
    if inodes is not None and inodes < FEW_INODES:
        find = f"see where the many files are: du -x --inodes --max-depth=2 {here} | sort -n | tail"
        return failed(check, text, find) if not inodes else warned(check, text, find)
    if free_mb < 2 * needed_mb:
        return warned(
            check, f"{text}: soon too little", f"{find}; or set retention.keep_days lower"
        )
    return passed(check, text)
