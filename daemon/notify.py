"""Word to systemd, where there is one."""

import logging
from collections.abc import Callable

from daemon.errors import describe, printable

logger = logging.getLogger(__name__)

Send = Callable[[str], object]


def find_send() -> Send | None:
    """systemd-python's sender; None without the extra."""
    try:
        from systemd import daemon
    except ImportError:
        return None
    return daemon.notify  # type: ignore[no-any-return]  # the package has no types


class Notifier:
    """Speaks the notify protocol; silently nothing if not started by systemd."""

    def __init__(self, send: Send | None, *, is_expected: bool) -> None:
        """``is_expected``: a notify socket was given to us, so somebody listens."""
        self.send = send
        self.last_status = ""
        if is_expected and send is None:
            logger.warning(
                "systemd waits for word, but systemd-python is missing:"
                " install cvunet-daemon[systemd], or set Type=exec in the unit"
            )

    def tell(self, *lines: str) -> None:
        """Send assignments in one datagram."""
        if self.send is None:
            return
        try:
            self.send("\n".join(lines))
        except OSError as error:
            # Whoever listened is gone; that must not end the work.
            logger.debug("systemd was not told: %s", describe(error))

    def ready(self) -> None:
        """The model is warm and the folders are watched."""
        self.tell("READY=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`; the same line is sent once."""
        # A line break would begin another assignment.
        line = printable(" ".join(text.split()))
        if line != self.last_status:
            self.last_status = line
            self.tell(f"STATUS={line}")

    def stopping(self) -> None:
        """The end has begun."""
        self.tell("STOPPING=1")
