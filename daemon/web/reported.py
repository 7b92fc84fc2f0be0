"""What a reload changes while the server runs, as the daemon reports it."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from daemon.errors import describe
from daemon.jobs import HotFolder
from daemon.ledger import upload_notes
from daemon.renderings import Rendering
from daemon.web.sources import Source

logger = logging.getLogger(__name__)

Json = dict[str, Any]  # Any: JSON
#: How old settings may be. Where results lie is asked anew before one is refused.
LOOK_S = 1.0


class Reported:
    """Without a report it stays as it was: at our start, or when the daemon last said it.

    Used by the thread of the event loop.
    """

    def __init__(
        self,
        source: Source,
        uploads: HotFolder,
        *,
        roots: frozenset[Path],
        min_free_mb: float,
        keep_days: float,
        users: dict[str, str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """All but ``source`` as at our start; ``users``: each hot folder's model."""
        self.source = source
        self.uploads = uploads.name
        self.monotonic = monotonic
        self.roots = roots
        """Folders that hold drops, also those of earlier configurations."""
        self.roots_now = roots
        """Folders that drops are made in now."""
        self._rendering = uploads.rendering
        self._min_free_mb = min_free_mb
        self._keep_days = keep_days
        self._users = users
        self.looked_at: float | None = None
        self.is_strange = False
        """The report's rendering cannot be understood, and that was said."""

    # --- places ---------------------------------------------------------------------------

    def serves(self, drop: Path) -> bool:
        """Whether a drop lies where results go, or went: nothing else is served."""
        if drop.parent not in self.roots:
            self.look()  # a reload may have been a moment ago
        return drop.parent in self.roots

    def served_roots(self) -> frozenset[Path]:
        """Return the same for many drops: it asks once."""
        self.look()
        return self.roots

    def roots_in_use(self) -> frozenset[Path]:
        """Return where results go now."""
        self.look()
        return self.roots_now

    # --- settings -------------------------------------------------------------------------

    @property
    def rendering(self) -> Rendering:
        """Return how results of uploads are made, if their requests do not say it."""
        self.look_sometimes()
        return self._rendering

    @property
    def min_free_mb(self) -> float:
        """Return how much space must be free."""
        self.look_sometimes()
        return self._min_free_mb

    @property
    def keep_days(self) -> float:
        """Return when results are deleted."""
        self.look_sometimes()
        return self._keep_days

    def users_of(self, model: str) -> list[str]:
        """Return which hot folders use a model."""
        self.look_sometimes()
        return [folder for folder, used in self._users.items() if used == model]

    # --- the report -----------------------------------------------------------------------

    def look_sometimes(self) -> None:
        """Read the report, unless that was done just now: it takes time to make."""
        if self.looked_at is None or self.monotonic() - self.looked_at >= LOOK_S:
            self.look()

    def look(self) -> None:
        """Read the report; what it does not say stays."""
        report = self.source.report()
        self.looked_at = self.monotonic()
        folders: Json = report.get("folders", {})
        if folders:
            self.roots_now = frozenset(Path(one["output_root"]) for one in folders.values())
        if folders and all(one.get("model") for one in folders.values()):
            self._users = {name: one["model"] for name, one in folders.items()}
        self.roots |= self.roots_now | {Path(one) for one in report.get("output_roots", ())}
        self._min_free_mb = report.get("min_free_mb", self._min_free_mb)
        self._keep_days = report.get("keep_days") or self._keep_days
        if stored := folders.get(self.uploads, {}).get("rendering"):
            self.read_rendering(stored)

    def read_rendering(self, stored: Json) -> None:
        """Keep the rendering of a report; the last one that was understood, if it is strange."""
        try:
            self._rendering = upload_notes.rendering(stored)
        except (TypeError, ValueError, KeyError) as error:
            if not self.is_strange:
                logger.warning(
                    "the daemon's report does not say how uploads are cut out (%s), perhaps because"
                    " it has another version: restart this server; until then it checks options as"
                    " before",
                    describe(error),
                )
            self.is_strange = True
        else:
            self.is_strange = False
