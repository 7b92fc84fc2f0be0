"""Replaces the configuration at SIGHUP: completely, or not at all."""

import logging
from collections.abc import Callable, Container
from pathlib import Path

from daemon import event_ids
from daemon.errors import InstallError, MachineError, describe, printable
from daemon.hooks.delivery import HookDelivery
from daemon.lifecycle.standby import Standby
from daemon.reporting.journal import set_level
from daemon.retention.retention import Retention
from daemon.service.folder_changes import FolderChanges
from daemon.settings import Settings

logger = logging.getLogger(__name__)

Reread = Callable[[Container[Path]], Settings]


class Reconfiguration:
    """Handles SIGHUP."""

    def __init__(
        self,
        folder_changes: FolderChanges,
        hook_delivery: HookDelivery,
        *,
        standby: Standby,
        retention: Retention | None,
        reread: Reread | None,
    ) -> None:
        """``reread`` reads and checks the file; it gets the hot folders that work already."""
        self.standby = standby
        self.folder_changes = folder_changes
        self.retention = retention
        self.hook_delivery = hook_delivery
        self.reread = reread

    def run(self) -> set[str]:
        """Return names of folders to sweep at once; none if the new file is refused."""
        if self.reread is None:
            return set()
        try:
            settings = self.reread(self.folder_changes.paths)
            self.folder_changes.take_locks(settings.folders)
        except (InstallError, MachineError) as error:
            return refuse(str(error))
        except OSError as error:  # a share that is away, a folder above that is closed to us
            return refuse(describe(error))
        changed = self.apply(settings)
        for name in settings.fixed:
            logger.warning(
                "%s has changed: that needs a restart, until then the old one counts", name
            )
        text = "the new configuration counts: %s folders"
        logger.info(text, len(settings.folders), extra={"MESSAGE_ID": event_ids.RELOADED})
        return changed

    def apply(self, settings: Settings) -> set[str]:
        """Apply the new settings; no step can fail."""
        set_level(settings.log_level)
        self.standby.min_free_mb = settings.min_free_mb
        if self.retention is not None:
            self.retention.change(
                settings.folders, keep_days=settings.keep_days, sweep_s=settings.sweep_s
            )
        self.hook_delivery.change(settings.subscriptions)
        return self.folder_changes.change(settings.folders)


def refuse(faults: str) -> set[str]:
    """Log why a configuration is refused, a line for each fault; return no folder to sweep."""
    for line in faults.splitlines():
        text = "the new configuration is refused, the old one stays: %s"
        about = {"MESSAGE_ID": event_ids.REFUSED, "ERROR": printable(line)}
        logger.error(text, printable(line), extra=about)
    return set()
