"""The state folder under a running daemon: still there, gone, or made anew."""

import logging
from collections.abc import Callable
from pathlib import Path

from daemon.disk.lock import Lock
from daemon.errors import DaemonError, LedgerError, describe, printable
from daemon.ledger.ledger import Ledger

logger = logging.getLogger(__name__)


class StateFolder:
    """Says what is wrong with the ledger, and begins a new one in a folder that was made anew."""

    def __init__(
        self,
        path: Path,
        *,
        ledger: Ledger,
        lock: Lock | None,
        in_work: Callable[[], int],
        on_anew: Callable[[], object],
    ) -> None:
        """``in_work``: how many pictures are in the engine.

        ``on_anew`` is called when the ledger is another one: nothing of the old one counts.
        """
        self.path = path
        self.ledger = ledger
        self.lock = lock
        self.in_work = in_work
        self.on_anew = on_anew

    def look(self) -> None:
        """`LedgerError` if the ledger has been taken away; asks for no disk but the folder's."""
        self.ledger.check_in_place()

    def check(self) -> None:
        """`LedgerError` if the ledger cannot be written now."""
        if not self.ledger.is_in_place():
            self.begin_anew()
        self.ledger.check_writable()

    def begin_anew(self) -> None:
        """A new ledger, once somebody has made the folder anew and nothing is in work."""
        if not self.path.is_dir():
            self.ledger.check_in_place()
        if count := self.in_work():
            raise LedgerError(f"{printable(self.path)} is another folder: {count} pictures end")
        try:
            if self.lock is not None and not self.lock.is_in_place():
                self.lock.renew()
            self.ledger.reopen()
        except (OSError, DaemonError) as error:
            raise LedgerError(f"no new ledger: {describe(error)}") from error
        text = "the ledger in %s is a new one: pictures that are claimed are taken up again"
        logger.warning(text, printable(self.path))
        self.on_anew()
