"""The operating system refuses: one kind of call, about one folder, with one error, for a while."""

import builtins
import errno
import functools
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

#: What intake, watching and claims ask of the operating system.
CALLS = (
    *("access", "fsync", "link", "listdir", "lstat", "mkdir", "open", "rename", "replace"),
    *("rmdir", "scandir", "stat", "statvfs", "unlink"),
)
ERRNOS = (
    errno.EACCES,
    errno.EPERM,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EIO,
    errno.ESTALE,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EMFILE,
    errno.ENOSPC,
    errno.EROFS,
    errno.EBUSY,
    errno.EXDEV,
)
FOLDERS = ("dir_fd", "src_dir_fd", "dst_dir_fd")


class DiskFaults:
    """Makes calls fail; undone by the fixture that patches."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.calls: tuple[str, ...] = ()
        """The calls that fail now."""
        self.number = 0
        self.top = Path()
        """Only what is about something at or below it fails."""
        self.met = 0
        for name in CALLS:
            patch.setattr(os, name, self.faulty(name, getattr(os, name)))
        for module in (io, builtins):
            patch.setattr(module, "open", self.faulty("open", module.open))

    def begin(self, calls: tuple[str, ...], number: int, top: Path) -> None:
        """From now on they fail."""
        self.calls, self.number, self.top, self.met = calls, number, top, 0

    def end(self) -> None:
        """All is well again."""
        self.calls = ()

    def faulty(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        """A call that may fail."""

        @functools.wraps(real)
        def asked(*args: Any, **kwargs: Any) -> Any:
            if name in self.calls and self.is_meant(args, kwargs):
                self.met += 1
                if name == "access":
                    return False  # it raises no errors
                raise OSError(self.number, os.strerror(self.number), *args[:1])
            return real(*args, **kwargs)

        return asked

    def is_meant(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """One of the paths lies in the folder; links are not followed."""
        calls, self.calls = self.calls, ()  # what we ask ourselves does not fail
        try:
            folders = [kwargs[key] for key in FOLDERS if kwargs.get(key) is not None]
            paths = [place_of(one) for one in (*args[:2], *folders)]
            top = self.top.resolve()
            return any(path is not None and path.is_relative_to(top) for path in paths)
        finally:
            self.calls = calls


def place_of(thing: object) -> Path | None:
    """Where a path or an open file leads; None for anything else."""
    if isinstance(thing, bool) or not isinstance(thing, int | str | bytes | os.PathLike):
        return None
    if isinstance(thing, int):
        try:
            return Path(f"/proc/self/fd/{thing}").readlink()
        except OSError:
            return None
    path = Path(os.fsdecode(thing))
    return path if path.is_absolute() else None
