"""A share whose server goes down and comes back, as the daemon sees it."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.disk import safe_open


class Share:
    """While its server is down, no folder of it can be opened: so do CIFS, and NFS mounted soft."""

    def __init__(self, place: Path, patch: pytest.MonkeyPatch) -> None:
        self.place = place
        self.is_down = False
        self.openings_left: int | None = None
        """How often it can still be opened until its server goes down; None: for ever."""
        self.inner: Callable[..., int] = safe_open.open_below
        patch.setattr(safe_open, "open_below", self.open_below)

    def open_below(
        self,
        top: int | None,
        parts: safe_open.RelativeParts,
        flags: int,
        *,
        is_one_mount: bool = False,
    ) -> int:
        """As `safe_open.open_below`."""
        if top is None and Path(*parts).is_relative_to(self.place):
            self.count()
            if self.is_down:
                raise OSError(errno.EHOSTDOWN, os.strerror(errno.EHOSTDOWN), str(Path(*parts)))
        return self.inner(top, parts, flags, is_one_mount=is_one_mount)

    def count(self) -> None:
        """Go down if it was opened often enough."""
        if self.openings_left is not None:
            self.is_down = self.is_down or self.openings_left == 0
            self.openings_left -= 1

    def come_back(self) -> None:
        """Its server is well again."""
        self.is_down, self.openings_left = False, None
