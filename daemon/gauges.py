"""Numbers that threads share: how much is inside, and a bound on it."""

import threading


class PixelBudget:
    """Pictures wait here, before they are decoded, until there is room for them."""

    def __init__(self, limit: int) -> None:
        """``limit`` in pixels. A picture larger than that is let in alone."""
        self.limit = limit
        self.taken = 0
        self.changed = threading.Condition()

    def take(self, pixels: int) -> int:
        """Wait for room; the pixels to give back later."""
        with self.changed:
            self.changed.wait_for(lambda: not self.taken or self.taken + pixels <= self.limit)
            self.taken += pixels
        return pixels

    def give(self, pixels: int) -> None:
        """Make room."""
        if pixels:
            with self.changed:
                self.taken -= pixels
                self.changed.notify_all()


class Counter:
    """A number that threads add to."""

    def __init__(self) -> None:
        self.value = 0
        self.lock = threading.Lock()

    def add(self, amount: int) -> None:
        """Change the number."""
        with self.lock:
            self.value += amount
