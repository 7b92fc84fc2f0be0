"""Deletes unfinished files and unused drops that an earlier process left."""

import logging
from collections.abc import Iterable
from pathlib import Path

from daemon.disk import drop_names, segments, store, tree
from daemon.errors import describe, printable
from daemon.jobs import State
from daemon.ledger.records import Records
from daemon.lifecycle.folder_registry import FolderRegistry

logger = logging.getLogger(__name__)


class Leftovers:
    """Deletes only what is ours and holds no picture."""

    def __init__(
        self, folders: FolderRegistry, *, records: Records, quarantine: Path, state: Path
    ) -> None:
        self.folders = folders
        self.records = records
        self.quarantine = quarantine
        self.state = state

    def remove_unfinished(self) -> None:
        """Delete half-written files: results, manifests, reasons, the status."""
        whole = self.unpublished()
        places = [drop.path for drop in self.records.open_drops()]
        places += [self.quarantine / folder.name for folder in self.folders]
        for place in (*places, self.state):
            try:
                hidden = [path for path in tree.below(place) if path.name.startswith(".")]
                paths = [path for path in hidden if path not in whole]
                for part in store.remove_orphans(paths):
                    logger.info("removed unfinished %s", printable(part))
                self.remove_segments(paths)
            except OSError as error:
                logger.warning("unfinished files in %s: %s", printable(place), describe(error))

    def unpublished(self) -> set[Path]:
        """Return the parts of results that are whole: they could not be published yet."""
        running = self.records.in_state(State.RUNNING)
        return {part for job in running if job.stamps for part, _ in job.outputs}

    def remove_segments(self, paths: Iterable[Path]) -> None:
        """Delete finished segments of clips that nobody works on any more."""
        for job_id, part in segments.owners(paths):
            job = self.records.job(job_id)
            if (
                job is None
                or job.state in (State.DONE, State.FAILED)
                or job.part.parent != part.parent
            ):
                segments.remove_all(part)
                logger.info("removed the segments of %s", printable(part))

    def remove_unused_drops(self) -> None:
        """Remove what the interrupted making or deletion of a drop has left: at most our mark."""
        known = [drop_names.OLD_NAME]
        known += [drop_names.pattern(one.drop_name, folder=one.name) for one in self.folders]
        for root in sorted({folder.output_root for folder in self.folders}):
            try:
                for drop in store.drops(root):
                    is_known = any(pattern.fullmatch(drop.name) for pattern in known)
                    if self.records.is_open_drop(drop):
                        continue
                    if store.remove_empty_drop(drop, is_known=is_known):
                        logger.info("removed unused %s", printable(drop))
            except OSError as error:
                logger.warning(
                    "unused drops in %s could not be removed: %s", printable(root), describe(error)
                )
