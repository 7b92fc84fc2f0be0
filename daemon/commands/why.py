"""`cvunetd why FILE`: what happened to a picture, or why nothing did; needs no torch."""

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon.commands.acting import acting_as
from daemon.commands.checks.permissions import asker_for
from daemon.commands.checks.service import owner
from daemon.commands.status import read_report
from daemon.config import folders as hot_folders
from daemon.config import schema as configuration
from daemon.disk import files, lock
from daemon.errors import asked_about, counted, printable
from daemon.jobs import HotFolder, Job, State
from daemon.ledger import ledger as ledgers
from daemon.ledger.ledger import Ending, Ledger
from daemon.ledger.records import Records
from daemon.lifecycle import late_changes
from daemon.reporting.report_file import REPORT
from daemon.watching import refusals, writers
from daemon.watching.ignored_names import has_ignored_part, why_left
from daemon.watching.left_files import CLIP

NEWEST = 5
UNSEEN = "cannot be looked at by this user"
CHANGED = "its original changed after it was cut out: put the original into the hot folder again"


def lines(config_path: Path | None, asked: Path) -> Iterator[str]:
    """Yield the answer line by line; the newest job first."""
    config, base = configuration.load(config_path)
    folders = hot_folders.all_folders(config, base)
    state = hot_folders.resolve(base, config.state_dir)
    # The folders of the configuration are resolved, too; but a link itself, not its target.
    path = Path(os.path.realpath(asked.parent), asked.name)
    with acting_as(owner(state)):  # claimed pictures are open to no other, not even to root
        jobs = list(job_lines(state, path, folders))
    yield from jobs
    holder = next((folder for folder in folders if path.is_relative_to(folder.path)), None)
    found = False if holder is None else is_there(path)
    if holder is not None and found:
        reason = why_not_taken(path, holder, state)
        yield f"{printable(path)} lies in hot folder {holder.name}: {reason}"
    elif found is None and not jobs:
        yield f"{printable(path)}: nothing is known of it, and it {UNSEEN}"
    elif not jobs:
        where = "any hot folder" if holder is None else f"hot folder {holder.name}"
        yield f"{printable(path)}: nothing is known of it, and it is not in {where}"


def job_lines(state: Path, path: Path, folders: list[HotFolder]) -> Iterator[str]:
    """Yield a line for each job that a path or a name belongs to."""
    ledger_path = state / ledgers.FILE
    with asked_about(state):
        if not ledger_path.exists():
            return
    relatives = [path.relative_to(f.path) for f in folders if path.is_relative_to(f.path)]
    with closing(Ledger(ledger_path, is_read_only=True)) as ledger:
        records = Records(ledger)
        found = records.jobs_with_path(path, relatives) or records.jobs_with_path(
            path, [Path(path.name)]
        )
        for ending in found[:NEWEST]:
            yield describe_job(ending) + delay(ending.job, state)


def describe_job(ending: Ending) -> str:
    """Describe one job in one line."""
    job = ending.job
    head = f"{printable(job.relative)} of folder {job.folder}, found by {job.found_by}"
    return f"{head} at {utc(job.added_at)}: {outcome(ending)}"


def delay(job: Job, state: Path) -> str:
    """Return why a job that has not ended waits for its folder; empty if it does not."""
    if job.state not in (State.QUEUED, State.RUNNING):
        return ""
    reason = standby_reason(job.folder, state)
    return f"; the folder stands by: {reason}" if reason else ""


def standby_reason(folder: str, state: Path) -> str:
    """Return why a folder stands by; empty if it works, or no daemon runs."""
    report, holder = read_report(state / REPORT), lock.owner(state / lock.FILE)
    if holder is None or report.get("pid") != holder:
        return ""
    return str(report.get("standby", {}).get(folder, ""))


def outcome(ending: Ending) -> str:
    """Return how a job ended, or its current state."""
    job, ended_at = ending.job, ending.ended_at
    attempts = counted(job.attempts, "attempt")
    match job.state:
        case State.DONE:
            original = f", original {place(job.archive)}" if job.archive else ""
            what = result(ending)
            notes = "; ".join(map(printable, ending.details.get("warnings", ())))
            warnings = f"; warnings: {notes}" if notes else ""
            changed = f"; {CHANGED}" if late_changes.has_changed_after(job) else ""
            return f"done at {utc(ended_at)} after {attempts}, {what}{original}{warnings}{changed}"
        case State.FAILED:
            where = (
                f"; it is now {place(job.quarantine)}" if job.quarantine and not job.is_kept else ""
            )
            return f"failed at {utc(ended_at)} after {attempts}: {job.reason}{where}"
        case State.QUEUED | State.RUNNING:
            why = f" ({job.reason})" if job.reason else ""
            done = finished(job)
            return f"{job.state.value} after {attempts}{why}{done}, original {place(job.source)}"


def finished(job: Job) -> str:
    """Return how much of a clip is finished; empty for a picture."""
    if not job.clip:
        return ""
    from daemon.disk import segments  # loads what moves files, which other answers do not need

    note = segments.read_note(job.part)
    if note is None:
        return ""
    return f", {sum(note.frames)} frames in {len(note.frames)} segments are finished"


def result(ending: Ending) -> str:
    """Return where the result is, or what replaced it."""
    job = ending.job
    if ending.replaced_by is not None:
        return "result replaced by that of a later version"
    alpha = f", mask {place(job.alpha)}" if job.alpha else ""
    review = f", for review {place(job.review)}" if job.review else ""
    return f"result {place(job.target)}{alpha}{review}{opinions(ending.details)}"


def opinions(details: dict[str, Any]) -> str:  # Any: JSON
    """Return what both models' masks were worth, if a second one was asked."""
    found = details.get("opinions")
    if not found:
        return ""
    scores = ", ".join(f"{one['model']} {score_text(one['score'])}" for one in found)
    return f", of model {details['model']} (scores: {scores})"


def score_text(score: float | None) -> str:
    """Return a score, or that there is none."""
    return "failed" if score is None else f"{score:.2f}"


def place(path: Path) -> str:
    """Return a path, with a note if nothing is there any more, or that cannot be told."""
    notes = {True: "", False: " (no longer there)", None: f" ({UNSEEN})"}
    return printable(path) + notes[is_there(path)]


def is_there(path: Path) -> bool | None:
    """Whether something has this name; None if this user may not look, as at claimed pictures."""
    try:
        return files.exists(path)
    except OSError:
        return None


def utc(seconds: float) -> str:
    """Return a time for people."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def why_not_taken(path: Path, folder: HotFolder, state: Path) -> str:
    """Return why a file was not taken yet."""
    if reason := why_never_taken(path, folder):
        return reason
    if lock.owner(state / lock.FILE) is None:
        return "the daemon is not running"
    if reason := standby_reason(folder.name, state):
        return f"the folder stands by: {reason}"
    report = read_report(state / REPORT)
    if text := refused(path, folder, state, report):
        return f"it cannot be taken: {text}"
    if folder.originals == "keep":
        return "originals are kept here; above stands what became of it, if it was taken"
    if text := open_for_writing(path, folder):
        return text
    identity = files.identity(path)
    if identity is not None and identity.size == 0:
        return (
            f"it is empty; if it is still empty {folder.defer_s:g} s after its last change, it is"
            " rejected: copy it again"
        )
    return f"not taken yet; it has to stay unchanged for {folder.settle_s:g} s, in turn with others"


def refused(
    path: Path,
    folder: HotFolder,
    state: Path,
    report: dict[str, Any],  # Any: JSON
) -> str:
    """Return why a file cannot be taken, and what mends it; empty if it can."""
    found = refusals.find(folder, path, asker_for(owner(state)))
    if found is not None:
        return printable(found.text)
    known = report.get("folders", {}).get(folder.name, {}).get("refusals", [])
    told = (one for one in known if one["path"] == str(path))
    return next((printable(f"{one['reason']} -> {one['mend']}") for one in told), "")


def open_for_writing(path: Path, folder: HotFolder) -> str:
    """Return which program has a file open for writing; empty if none has, or nobody can tell."""
    found = list(writers.holders(path))
    if not found and not writers.has_writer(path):
        return ""
    who = f" ({'; '.join(found)})" if found else ""
    return (
        f"{writers.STILL_OPEN}{who}; it is taken when that program closes it, or with a warning"
        f" when it has not changed for {folder.defer_s:g} s"
    )


def is_clip(path: Path) -> bool:
    """Whether a file is a clip by its content."""
    from daemon.worker.clips import kinds  # loads numpy, which other answers do not need

    return bool(kinds.kind_of(path))


def why_never_taken(path: Path, folder: HotFolder) -> str:
    """Return why a file of a hot folder will never be taken; empty if it will be."""
    relative = path.relative_to(folder.path)
    if has_ignored_part(relative):
        return "hidden or temporary names, and those of bins, are never taken (docs/input.md)"
    if reason := why_left(path, folder):
        return f"{reason}; it is left where it is"
    if folder.clips == "ignore" and is_clip(path):
        return f"{CLIP}; it is left where it is"
    if files.identity(path) is None:
        return "it is no regular file, or may not be looked at; such are never opened"
    if not folder.recursive and len(relative.parts) > 1:
        return "the folder is not recursive, sub-folders are left alone"
    return ""
