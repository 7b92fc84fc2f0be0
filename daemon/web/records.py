"""The ledger as the server sees it: read only, opened when it is there, and never for long."""

from pathlib import Path

from daemon.errors import InstallError, LedgerError
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.ledger.uploads import Uploads
from daemon.web.problems import unavailable


class LedgerView:
    """Used by one thread: that of the event loop."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ledger: Ledger | None = None

    @property
    def uploads(self) -> Uploads:
        """Return questions about uploads; `Problem` while there is no ledger."""
        return Uploads(self.open())

    @property
    def records(self) -> Records:
        """Return all other questions; `Problem` while there is no ledger."""
        return Records(self.open())

    def version(self) -> tuple[int, int]:
        """Return what is another value after each commit of the daemon."""
        ledger = self.open()
        return id(ledger), Uploads(ledger).version()

    def open(self) -> Ledger:
        """Return the ledger that has the path now."""
        if self.ledger is not None and not self.ledger.is_in_place():
            self.close()
        if self.ledger is None:
            try:
                self.ledger = Ledger(self.path, is_read_only=True)
            except (InstallError, LedgerError) as error:
                raise unavailable("the daemon has no ledger yet: try again in a while") from error
        return self.ledger

    def open_another(self) -> Ledger:
        """Return a connection for another thread, which closes it."""
        try:
            return Ledger(self.path, is_read_only=True)
        except (InstallError, LedgerError) as error:
            raise unavailable("the daemon has no ledger yet: try again in a while") from error

    def close(self) -> None:
        """Close it; the next question opens it again."""
        if self.ledger is not None:
            self.ledger.close()
            self.ledger = None
