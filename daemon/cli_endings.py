"""How every command ends: its exit status, its errors as one line each, its lines on a pipe."""

import logging
import os
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from typing import NoReturn, ParamSpec

import click

from daemon.errors import (
    EXIT_BROKEN,
    EXIT_INSTALL,
    EXIT_USAGE,
    DeviceError,
    InstallError,
    MachineError,
    UsageError,
)
from daemon.reporting import journal

logger = logging.getLogger(__name__)
P = ParamSpec("P")


def exit_status(command: Callable[P, int]) -> Callable[P, None]:
    """Turn a command's number into the exit status, and its errors into one line each."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
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


def abort(reason: str) -> NoReturn:
    """End at once: threads may hang in a dead device or wait for us endlessly."""
    print_error(reason)
    sys.stderr.flush()
    os._exit(EXIT_BROKEN)


def print_lines(lines: Iterable[str]) -> int:
    """Print lines until the reader closes the pipe: `cvunetd status | head` is no error."""
    try:
        for line in lines:
            click.echo(line)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python must not fail again when it flushes its buffer at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def print_error(line: str) -> None:
    """Print an error that ends a command, for a terminal or the journal."""
    click.echo(f"{'<3>' if journal.is_journal() else ''}cvunetd: {line}", err=True)
