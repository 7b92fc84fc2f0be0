"""What signals do; installed by the command line, for commands that run until they are told."""

import os
import signal
from collections.abc import Callable
from types import FrameType


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
            clear()
            os._exit(128 + number)
        seen.append(number)
        stop(number)

    signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGINT, handler)
    if reload is not None:
        signal.signal(signal.SIGHUP, handler)
