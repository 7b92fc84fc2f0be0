"""What signals do; installed by the command line, for commands that run until they are told."""

import os
import signal
from collections.abc import Callable
from types import FrameType


class Stopping:
    """What a command does about the wish to stop: it looks at it, or has somebody told."""

    def __init__(self) -> None:
        self.is_wished = False
        self.listeners: list[Callable[[int], None]] = []
        self.clearings: list[Callable[[], object]] = []

    def wish(self, number: int) -> None:
        """Note a signal, and tell all listeners."""
        self.is_wished = True
        for listener in self.listeners:
            listener(number)

    def listen(
        self, listener: Callable[[int], None], *, clear: Callable[[], object] = lambda: None
    ) -> None:
        """Tell one more, also of a signal that has come already; ``clear`` as in `on_signal`."""
        self.clearings.append(clear)
        self.listeners.append(listener)
        if self.is_wished:
            listener(0)

    def clear(self) -> None:
        """Remove what all listeners have not finished: the process ends now."""
        for clear in self.clearings:
            clear()


def on_signal(
    stop: Callable[[int], None],
    reload: Callable[[], None] | None = None,
    *,
    clear: Callable[[], None] = lambda: None,
) -> None:
    """SIGTERM and SIGINT call ``stop``, which only puts a message; a second one ends us at once.

    SIGHUP calls ``reload``, if there is something to reload. ``clear`` is called before a sudden
    end.
    """
    seen: list[int] = []

    def handler(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            if reload is not None:
                reload()
            return
        if seen:
            try:
                clear()
            finally:
                os._exit(128 + number)
        seen.append(number)
        stop(number)

    signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGINT, handler)
    if reload is not None:
        signal.signal(signal.SIGHUP, handler)
