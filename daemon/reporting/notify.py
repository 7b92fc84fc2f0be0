"""The notify protocol of systemd, if systemd has started us."""

import logging
import os
from collections.abc import Callable, Mapping

from daemon.errors import describe, printable

logger = logging.getLogger(__name__)

MICRO = 1_000_000
#: How long the next step of loading or stopping may take. Sent again before each step: a disk that
#: reads a gigabyte of libraries and weights, or a GPU that plans a batch, needs minutes.
STEP_S = 180.0
#: Variables that a process started by us must not inherit: systemd would take it for us.
NOT_INHERITED = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")

Send = Callable[[str], object]


def find_send() -> Send | None:
    """Return systemd-python's sender; None without the extra."""
    try:
        from systemd import daemon
    except ImportError:
        return None
    return daemon.notify  # type: ignore[no-any-return]  # the package has no types


def watchdog_s(environment: Mapping[str, str]) -> float:
    """Return how long systemd waits for a sign of progress from this process; 0 if it does not.

    sd_watchdog_enabled(3): ``WATCHDOG_PID``, if it is set, must be ours.
    """
    try:
        interval_s = int(environment.get("WATCHDOG_USEC", "0")) / MICRO
        owner = int(environment.get("WATCHDOG_PID", os.getpid()))
    except ValueError:
        return 0.0
    return interval_s if owner == os.getpid() and interval_s > 0 else 0.0


def for_children(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a process that we start, without systemd's variables."""
    return {key: value for key, value in environment.items() if key not in NOT_INHERITED}


class Notifier:
    """Implements the notify protocol; does nothing if systemd has not started us."""

    def __init__(self, send: Send | None, *, is_expected: bool) -> None:
        """``is_expected``: systemd gave us a notify socket, so it waits for messages."""
        self.send = send
        self.last_status = ""
        self.is_changing = True
        """It starts, reloads or stops: systemd waits until the time-out is over."""
        if is_expected and send is None:
            logger.warning(
                "systemd waits to be told of the start, but systemd-python is missing:"
                " install cvunet-daemon[systemd], or set Type=exec in the unit"
            )

    def send_lines(self, *lines: str) -> None:
        """Send assignments in one datagram."""
        if self.send is None:
            return
        try:
            self.send("\n".join(lines))
        except OSError as error:
            # The receiver has gone; that must not end the work.
            logger.debug("systemd was not told: %s", describe(error))

    def ready(self) -> None:
        """The model is warm and the folders are watched; also: a reload has ended."""
        self.is_changing = False
        self.send_lines("READY=1")

    def reloading(self, *, monotonic: float) -> None:
        """A reload begins; systemd distinguishes two READY by this time (CLOCK_MONOTONIC)."""
        self.is_changing = True
        self.send_lines("RELOADING=1", f"MONOTONIC_USEC={int(monotonic * MICRO)}")

    def loading(self, step: str) -> None:
        """The next step of the start begins: its time-out begins anew."""
        self.extend_timeout()
        self.status(step)

    def extend_timeout(self) -> None:
        """Starting or stopping goes on: the time-out begins anew."""
        self.send_lines(f"EXTEND_TIMEOUT_USEC={int(STEP_S * MICRO)}")

    def ping_watchdog(self) -> None:
        """Every part has made progress since the last ping."""
        self.send_lines("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Send one line for `systemctl status`; the same line is sent once."""
        # A line break would begin another assignment.
        line = printable(" ".join(text.split()))
        if line != self.last_status:
            self.last_status = line
            self.send_lines(f"STATUS={line}")

    def stopping(self) -> None:
        """The daemon is stopping."""
        self.is_changing = True
        self.send_lines("STOPPING=1")
