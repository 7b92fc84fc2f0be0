"""A new configuration in place of the old one: whole, or not at all."""

import logging
from collections.abc import Callable, Container
from pathlib import Path

from daemon import event_ids
from daemon.errors import InstallError, MachineError, printable
from daemon.hooks.delivery import Herald
from daemon.lifecycle.intake import Shelf
from daemon.reporting.journal import set_level
from daemon.retention.retention import Retention
from daemon.service.folder_registry import Roster
from daemon.settings import Settings

logger = logging.getLogger(__name__)

Reread = Callable[[Container[Path]], Settings]


class Renewal:
    """Does what SIGHUP asks for."""

    def __init__(
        self,
        shelf: Shelf,
        roster: Roster,
        herald: Herald,
        *,
        retention: Retention | None,
        reread: Reread | None,
    ) -> None:
        """``reread`` reads and checks the file; it is given the hot folders that work already."""
        self.shelf = shelf
        self.roster = roster
        self.retention = retention
        self.herald = herald
        self.reread = reread

    def run(self) -> set[str]:
        """Names of folders that are to be looked at at once; none if the new file is refused."""
        if self.reread is None:
            return set()
        try:
            settings = self.reread(self.roster.paths)
            self.roster.own(settings.folders)
        except (InstallError, MachineError) as error:
            for line in str(error).splitlines():
                text = "the new configuration is refused, the old one stays: %s"
                about = {"MESSAGE_ID": event_ids.REFUSED, "ERROR": printable(line)}
                logger.error(text, printable(line), extra=about)
            return set()
        changed = self.apply(settings)
        for name in settings.fixed:
            logger.warning(
                "%s has changed: that needs a restart, until then the old one counts", name
            )
        text = "the new configuration counts: %s folders"
        logger.info(text, len(settings.folders), extra={"MESSAGE_ID": event_ids.RELOADED})
        return changed

    def apply(self, settings: Settings) -> set[str]:
        """Nothing in here can fail."""
        set_level(settings.log_level)
        self.shelf.standby.min_free_mb = settings.min_free_mb
        if self.retention is not None:
            self.retention.change(
                settings.folders, keep_days=settings.keep_days, sweep_s=settings.sweep_s
            )
        self.herald.change(settings.subscriptions)
        return self.roster.change(settings.folders)
