"""How every command ends: its exit status, its errors as one line each, its lines on a pipe."""

import gc
import logging
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import wraps
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn, ParamSpec, Protocol, TextIO

import click

from daemon import collector
from daemon.errors import (
    EXIT_BROKEN,
    EXIT_INSTALL,
    EXIT_SOME_FAILED,
    EXIT_USAGE,
    DeviceError,
    InstallError,
    MachineError,
    UsageError,
    explain,
    printable,
)
from daemon.reporting import journal

logger = logging.getLogger(__name__)
P = ParamSpec("P")


def exit_status(command: Callable[P, int]) -> Callable[P, None]:
    """Turn a command's number into the exit status, and its errors into one line each."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        fill_closed_streams()
        collector.be_patient()  # before the command imports its heavy parts
        try:
            status = command(*args, **kwargs)
        except (InstallError, UsageError) as error:
            for line in str(error).splitlines():
                print_error(line)
            status = EXIT_INSTALL if isinstance(error, InstallError) else EXIT_USAGE
        except (DeviceError, MachineError) as error:
            abort(f"{error}; restart to recover")
        except Exception:
            logger.exception("this should not have happened; restart to go on")
            abort("ended by an unforeseen error")
        if status:
            sys.exit(status)

    return run


def fill_closed_streams() -> None:
    """Let lines go nowhere after `2>&-` or `>&-`; no file of ours gets a closed stream's number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free: this one
    sys.stdout, sys.stderr = sys.stdout or nowhere(), sys.stderr or nowhere()


def nowhere() -> TextIO:
    """Return a stream that takes every letter, open to the end."""
    return Path(os.devnull).open("w", encoding="utf-8", errors="backslashreplace")


def typed_status(command: Callable[P, int]) -> Callable[P, None]:
    """Do the same for a command of a person: a place that is closed to him is no fault of ours."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            return command(*args, **kwargs)
        except PermissionError as error:
            place = "something" if error.filename is None else printable(str(error.filename))
            text = f"{place} is closed to this user ({explain(error)}): name another place, or ask"
            raise InstallError(f"{text} as root, or as a member of its group") from error

    return exit_status(run)


def quick_status(command: Callable[P, int]) -> Callable[P, None]:
    """Do the same for a short command: looking for garbage would cost up to 3 % of its time."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> int:
        gc.disable()
        try:
            return command(*args, **kwargs)
        finally:
            gc.enable()

    return typed_status(run)


def abort(reason: str) -> NoReturn:
    """End at once: threads may hang in a dead device or wait for us endlessly."""
    print_error(reason)
    sys.stderr.flush()
    os._exit(EXIT_BROKEN)


def print_lines(lines: Iterable[str]) -> int:
    """Print lines until the reader closes the pipe: `cvunetd status | head` is no error.

    Lines may report work: all of it is done, even if nobody reads them any more.
    """
    rest = iter(lines)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a locale may lack a name's letters
    try:
        for line in rest:
            click.echo(line)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python must not fail again when it flushes its buffer at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        deque(rest, maxlen=0)
    return 0


class Result(Protocol):
    """What became of one file."""

    @property
    def source(self) -> Path:
        """The file."""
        ...

    @property
    def target(self) -> Path | None:
        """Its result; None if it failed."""
        ...

    @property
    def reason(self) -> str:
        """Why it failed."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know of the result."""
        ...


def print_results(results: Sequence[Result]) -> int:
    """Print where results are, or why there is none; return the exit status."""
    print_lines(told_results(results))
    return EXIT_SOME_FAILED if any(result.target is None for result in results) else 0


def told_results(results: Iterable[Result]) -> Iterator[str]:
    """Yield where results are; what went wrong is printed as an error."""
    for result in results:
        if result.target is None:
            print_error(f"{printable(result.source)}: {result.reason}")
            continue
        yield printable(result.target)
        for warning in result.warnings:
            print_error(f"{printable(result.source)}: warning: {printable(warning)}")


def show_progress(line: str) -> None:
    """Show how far a command has come: on a terminal, where the next line replaces it."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{line}", err=True, nl=False)


def print_error(line: str) -> None:
    """Print an error that ends a command, for a terminal or the journal."""
    click.echo(f"{'<3>' if journal.is_journal() else ''}cvunetd: {line}", err=True)
