"""A process that dies, simulated: nothing that the code does after its death reaches the disk.

Every call that changes the disk is one step, and every commit of the ledger; the reaper ends the
process before the n-th. Between two steps nothing on disk changes, so these are all deaths that
there are. What was being written at death is torn.
"""

import builtins
import errno
import functools
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daemon.ledger.ledger import Ledger

#: All of `os` that the daemon changes the disk with; pathlib and shutil call these.
CHANGES = (
    "chmod",
    "fsync",
    "link",
    "mkdir",
    "open",
    "remove",
    "rename",
    "replace",
    "rmdir",
    "symlink",
    "truncate",
    "unlink",
    "utime",
)
WATCHED = (
    "daemon.disk.store",
    "daemon.disk.publication",
    "daemon.disk.free_space",
    "daemon.disk.deletion",
    "daemon.disk.files",
    "daemon.disk.sync_threads",
    "daemon.disk.syncs",
    "daemon.disk.moves",
    "daemon.disk.new_files",
    "daemon.disk.safe_open",
    "daemon.disk.segments",
    "daemon.disk.uploads",
    "daemon.ledger.ledger",
    "daemon.ledger.database",
)
#: What the folders are called that the paths of a call may be relative to.
PATHS = dict.fromkeys(("link", "rename", "replace"), ("src_dir_fd", "dst_dir_fd"))
ONE_PATH = ("dir_fd",)
WRITES = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_RDWR
TORN = b'{"to'
FIRST_PID = 100_000


class Died(BaseException):
    """The process is gone; nothing catches this."""


@dataclass(frozen=True, slots=True)
class Call:
    """One change of the disk that was asked for."""

    name: str
    paths: tuple[Path, ...]
    within: tuple[str, ...]
    """The functions of store, files and ledger that it happened in, innermost first."""

    def __str__(self) -> str:
        where = self.within[0] if self.within else "elsewhere"
        return f"{self.name} in {where} on {', '.join(path.name for path in self.paths)}"


class Reaper:
    """Counts steps while a life is lived; ends it at the one that was asked for."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        """``patch`` undoes everything; until `life` nothing is counted."""
        self.countdown: int | None = None
        self.is_counting = False
        self.is_dead = False
        self.lives = 0
        self.calls: list[Call] = []
        self.fatal: set[str] = set()
        self.borders: tuple[Path, ...] = ()
        self.has_links = True
        self.ledgers: list[Ledger] = []
        self.is_asked_where = False
        """Whether each call is to tell its functions; those at a death always do."""
        for name in CHANGES:
            patch.setattr(os, name, self.mortal(name, getattr(os, name)))
        for module in (io, builtins):
            patch.setattr(module, "open", self.mortal_open(module.open))
        patch.setattr(os, "getpid", lambda: FIRST_PID + self.lives)
        patch.setattr(Ledger, "__init__", self.remembered(Ledger.__init__))
        patch.setattr(Ledger, "transaction", self.mortal_transaction(Ledger.transaction))

    @contextmanager
    def life(self, countdown: int | None) -> Iterator[None]:
        """Live until the end of the block, or for so many steps; `Died` stays inside."""
        self.lives += 1
        self.calls = []
        self.countdown, self.is_counting, self.is_dead = countdown, True, False
        try:
            yield
        except Died:
            assert self.is_dead
        finally:
            self.is_counting = False
            for ledger in self.ledgers:
                ledger.close()
            self.ledgers = []

    def step(self, name: str, *paths: Path) -> None:
        """Count down; die at zero, and again at whatever a dead process still tries."""
        if not self.is_counting:
            return
        was_dead = self.is_dead
        if not was_dead and self.countdown is not None:
            self.countdown -= 1
            self.is_dead = self.countdown < 0
        call = Call(
            name, paths, functions_on_stack() if self.is_dead or self.is_asked_where else ()
        )
        if not was_dead:
            self.calls.append(call)
        if self.is_dead:
            self.fatal |= set(call.within)
            raise Died(str(call))

    def mortal(self, name: str, change: Callable[..., Any]) -> Callable[..., Any]:
        """A function of `os` with a chance to die before it."""

        @functools.wraps(change)
        def changed(*args: Any, **kwargs: Any) -> Any:
            if not self.is_counting or (name == "open" and not args[1] & WRITES):
                return change(*args, **kwargs)
            if name == "fsync":  # nothing here outlives the machine; real ones are slow
                self.step(name, Path(f"/proc/self/fd/{args[0]}").readlink())
                return None
            paths = tuple(
                absolute(path, kwargs.get(key, kwargs.get("dir_fd")))
                for path, key in zip(args, PATHS.get(name, ONE_PATH), strict=False)
            )
            self.step(name, *paths)
            self.obey_file_systems(name, paths)
            return change(*args, **kwargs)

        return changed

    def obey_file_systems(self, name: str, paths: tuple[Path, ...]) -> None:
        """Behave as if there were borders, or no hard links."""
        sides = {tuple(path.is_relative_to(top) for top in self.borders) for path in paths}
        if name in ("link", "rename", "replace") and len(sides) > 1:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(paths[0]))
        if name == "link" and not self.has_links:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM), str(paths[0]))

    def mortal_open(self, opened: Callable[..., Any]) -> Callable[..., Any]:
        """`open` with a chance to die before it, and after it with the content torn."""

        @functools.wraps(opened)
        def opening(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if not self.is_counting or mode.startswith("r") or not isinstance(file, str | Path):
                return opened(file, mode, *args, **kwargs)
            self.step("open", Path(file))
            stream = opened(file, mode, *args, **kwargs)
            try:
                self.step("write", Path(file))
            except Died:
                stream.close()
                with opened(file, "wb") as torn:
                    torn.write(TORN)
                raise
            return stream

        return opening

    def mortal_transaction(self, transaction: Callable[..., Any]) -> Callable[..., Any]:
        """A transaction with a chance to die before its commit and after it."""

        @contextmanager
        def committed(ledger: Ledger) -> Iterator[Any]:
            with transaction(ledger) as db:
                yield db
                self.step("commit", ledger.path)
            self.step("committed", ledger.path)

        return committed

    def remembered(self, init: Callable[..., None]) -> Callable[..., None]:
        """Ledgers are closed at death, as the system would."""

        def opened(ledger: Ledger, *args: Any, **kwargs: Any) -> None:
            init(ledger, *args, **kwargs)
            self.ledgers.append(ledger)

        return opened


def absolute(path: Any, folder: int | None) -> Path:
    """A path, also one that is relative to a descriptor, or that of an open file."""
    if isinstance(path, int):
        return Path(f"/proc/self/fd/{path}").readlink()
    top = Path() if folder is None else Path(f"/proc/self/fd/{folder}").readlink()
    whole = top / os.fsdecode(path)
    return whole.readlink() if whole.is_relative_to("/proc/self/fd") else whole


def functions_on_stack() -> tuple[str, ...]:
    """Functions of the modules we watch that are being called, innermost first."""
    names = []
    frame = sys._getframe(2)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module in WATCHED:
            names.append(f"{module.rpartition('.')[2]}.{frame.f_code.co_name}")
        assert frame.f_back is not None or frame.f_code.co_name
        if frame.f_back is None:
            break
        frame = frame.f_back
    return tuple(names)
