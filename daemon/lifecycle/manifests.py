"""The manifests of drops: what they say of each picture, and when they are written."""

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Container, Iterable
from pathlib import Path
from typing import Any

from daemon import __version__
from daemon.disk import store
from daemon.errors import describe, printable
from daemon.jobs import State
from daemon.json_values import as_text, utc
from daemon.ledger.database import Row
from daemon.ledger.ledger import Drop, Ending
from daemon.ledger.records import Records, ending_of
from daemon.lifecycle import late_changes

logger = logging.getLogger(__name__)

#: The manifest of a busy drop is written at most this often, and always at its end.
MANIFEST_S = 2.0
MANIFEST_RETRY_S = 30.0
#: The version of `docs/manifest.schema.json`; another number means that readers have to change.
MANIFEST_VERSION = 2
MANIFEST_PAUSES = 100  # a large one is not written again for so many times its own time
#: Entries of a drop with more pictures are made anew each time: the texts take 2 kB each.
MOST_TEXTS = 2000
#: How JSON of an empty list ends, as the last value of the document.
EMPTY_END = "[]\n}"

Texts = dict[str, tuple[int, str]]
"""By job: a hash of its row, and its entry."""


class Manifests:
    """Writes manifests of drops whose jobs have ended, but not after every single job."""

    def __init__(self, records: Records, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` measures how long writing a manifest takes."""
        self.records = records
        self.clock = clock
        self.dirty: set[int] = set()
        self.pauses: dict[int, tuple[float, float]] = {}
        """By drop: when its manifest was tried last (UTC seconds), and how long it rests since."""
        self.failed: set[int] = set()
        self.changed: Counter[str] = Counter()
        """By folder: originals that were found changed when their drop was closed."""
        self.texts: dict[int, Texts] = {}
        """By drop, of those that are open, and of the closed one that was revised last."""
        self.revised: int | None = None
        """The number of that one: a person judges its pictures one after the other."""

    def write_due(self, drops: list[Drop], *, now: float, is_final: bool) -> None:
        """Write manifests that are out of date, if the drop is idle or enough time has passed."""
        for drop in drops:
            if drop.id not in self.dirty:
                continue
            if is_final or not self.rests(drop, now) or self.is_idle(drop):
                self.write(drop, closed_at=None, now=now)

    def rests(self, drop: Drop, now: float) -> bool:
        """Whether it is too early to write; not for longer if the clock is set back meanwhile."""
        tried_at, pause_s = self.pauses.get(drop.id, (now, 0.0))
        return 0 <= now - tried_at < pause_s

    def is_idle(self, drop: Drop) -> bool:
        """Whether all of a drop's jobs have ended, and writing does not fail."""
        return drop.id not in self.failed and not self.records.has_open_jobs(drop)

    def close(self, drop: Drop, *, now: float) -> bool:
        """Write the last manifest, as `write`, and count the originals that have changed."""
        if (changed := self.publish(drop, closed_at=now, now=now)) is not None:
            self.changed[drop.folder] += len(changed)
        return changed is not None

    def write(
        self, drop: Drop, *, closed_at: float | None, now: float, without: Container[str] = ()
    ) -> bool:
        """Write one manifest ``without`` jobs; False if its disk fails: it is tried again later."""
        return self.publish(drop, closed_at=closed_at, without=without, now=now) is not None

    def publish(
        self, drop: Drop, *, closed_at: float | None, now: float, without: Container[str] = ()
    ) -> set[str] | None:
        """Write one manifest; return the jobs whose originals have changed, None if it fails."""
        if drop.id in self.failed and self.rests(drop, now):
            return None
        began = self.clock()
        rows = [row for row in self.records.ending_rows(drop) if row["id"] not in without]
        is_last = closed_at is not None
        changed = changed_jobs(map(ending_of, rows)) if is_last else set()
        entries = self.entries(drop, rows, changed)
        try:
            store.write_manifest(drop.path, text(drop, entries, closed_at))
        except OSError as error:
            logger.warning("%s: no manifest: %s", printable(drop.path), describe(error))
            self.dirty.add(drop.id)
            self.failed.add(drop.id)
            self.pauses[drop.id] = now, MANIFEST_RETRY_S
            return None
        self.dirty.discard(drop.id)
        self.failed.discard(drop.id)
        cost_s = self.clock() - began
        self.pauses[drop.id] = now, max(MANIFEST_S, MANIFEST_PAUSES * cost_s)
        if is_last and self.revised != drop.id:
            self.let_go(self.revised)
            self.revised = drop.id
        return changed

    def entries(self, drop: Drop, rows: list[Row], changed: set[str]) -> list[str]:
        """Return the text of each row's entry; only rows that are new or other ones are read."""
        known = self.texts.get(drop.id, {})
        texts: Texts = {}
        for row in rows:
            version = hash((*row, row["id"] in changed))
            before = known.get(row["id"])
            if before is not None and before[0] == version:
                texts[row["id"]] = before
            else:
                ending = ending_of(row)
                entry = picture(drop, ending, has_changed=ending.job.id in changed)
                texts[row["id"]] = version, as_entry(entry)
        self.texts[drop.id] = texts if len(texts) <= MOST_TEXTS else {}
        return [written for _, written in texts.values()]

    def forget(self, drop: Drop) -> None:
        """Forget a drop that is closed: nothing more will be written."""
        self.dirty.discard(drop.id)
        self.let_go(drop.id)

    def let_go(self, drop_id: int | None) -> None:
        """Forget what only saves time, also if another drop has the number by now."""
        if drop_id is not None:
            self.texts.pop(drop_id, None)
            self.failed.discard(drop_id)
            self.pauses.pop(drop_id, None)


def changed_jobs(endings: Iterable[Ending]) -> set[str]:
    """Return the ids of jobs whose originals were written to after they were archived."""
    done = [ending.job for ending in endings if ending.job.state is State.DONE]
    changed = [job for job in done if late_changes.has_changed_after(job)]
    for job in changed:
        late_changes.tell(job)
    return {job.id for job in changed}


def text(drop: Drop, entries: Iterable[str], closed_at: float | None) -> str:
    """Return a drop's manifest as JSON; paths are relative to the drop, times UTC."""
    head = {
        "made_by": f"cvunetd {__version__}",
        "version": MANIFEST_VERSION,
        "folder": drop.folder,
        "opened_at": utc(drop.opened_at),
        "closed_at": None if closed_at is None else utc(closed_at),
        "pictures": [],
    }
    pictures = ",".join(entries)
    if not pictures:
        return as_json(head)
    return f"{as_json(head).removesuffix(EMPTY_END)}[{pictures}\n  ]\n}}"


def as_entry(entry: dict[str, Any]) -> str:  # Any: JSON
    """Return a picture's entry as it stands in the list of a manifest, on lines of its own."""
    # Line breaks inside strings are escaped, so these are all between values.
    return f"\n{as_json(entry)}".replace("\n", "\n    ")


def as_json(content: dict[str, Any]) -> str:  # Any: JSON
    """Return a text for people and programs."""
    return json.dumps(content, indent=2, ensure_ascii=False)


def picture(drop: Drop, ending: Ending, *, has_changed: bool) -> dict[str, Any]:  # Any: JSON
    """Return one picture's entry."""
    job = ending.job
    entry: dict[str, Any] = {
        "source": as_text(job.relative),
        "state": job.state.value,
        "id": job.id,
        "attempts": job.attempts,
        "found_by": job.found_by,
        "added_at": utc(job.added_at),
        "ended_at": utc(ending.ended_at),
    }
    if job.state is State.DONE:
        has_result = ending.replaced_by is None
        entry["result"] = relative_path(drop, job.target) if has_result else None
        entry["alpha"] = relative_path(drop, job.alpha) if has_result else None
        entry["review"] = relative_path(drop, job.review) if has_result else None
        entry["original"] = relative_path(drop, job.archive)
        entry["original_changed"] = has_changed
        entry["replaced_by"] = ending.replaced_by
    else:
        entry["reason"] = job.reason
        entry["quarantine"] = job.quarantine and as_text(job.quarantine)
    return entry | ending.details


def relative_path(drop: Drop, path: Path | None) -> str | None:
    """Return a path in a drop, relative as in the manifest."""
    return None if path is None else as_text(path.relative_to(drop.path))
