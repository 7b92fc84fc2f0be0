"""The command line. Heavy parts are imported by the commands that need them."""

import logging
import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import ParamSpec

import click

from daemon import __version__
from daemon.errors import EXIT_DEVICE, EXIT_INSTALL, EXIT_SOME_FAILED, DeviceError, InstallError

P = ParamSpec("P")
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="Configuration; else ./config.yaml, else /etc/cvunetd/config.yaml, else defaults.",
)


def answering(command: Callable[P, int]) -> Callable[P, None]:
    """Make a command's number the exit status and its errors one line each."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            status = command(*args, **kwargs)
        except InstallError as error:
            for line in str(error).splitlines():
                click.echo(f"cvunetd: {line}", err=True)
            status = EXIT_INSTALL
        except DeviceError as error:
            click.echo(f"cvunetd: {error}; restart to recover", err=True)
            sys.stderr.flush()
            os._exit(EXIT_DEVICE)  # threads may hang in the dead device for ever
        if status:
            sys.exit(status)

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cvunetd")
def main() -> None:
    """A folder in which pictures lose their background."""


@main.command()
@config_option
@answering
def run(config_path: Path | None) -> int:
    """Watch the hot folders and serve until SIGTERM."""
    from daemon import running

    return running.serve(config_path, start_logging=start_logging, on_signal=on_signal)


@main.command()
@config_option
@answering
def once(config_path: Path | None) -> int:
    """Process what the hot folders hold now, then exit: for cron."""
    from daemon import running

    failed = running.once(config_path, start_logging=start_logging, on_signal=on_signal)
    return EXIT_SOME_FAILED if failed else 0


@main.command()
@click.argument(
    "source", metavar="IN", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.argument("out", metavar="OUT", type=click.Path(file_okay=False, path_type=Path))
@config_option
@answering
def batch(source: Path, out: Path, config_path: Path | None) -> int:
    """Cut out all pictures of folder IN into folder OUT; resumes where it stopped."""
    from daemon import running

    failed = running.batch(
        source, out, config_path, start_logging=start_logging, on_signal=on_signal
    )
    return EXIT_SOME_FAILED if failed else 0


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder; for one picture also a file.",
)
@config_option
@answering
def cut(files: tuple[Path, ...], out: Path, config_path: Path | None) -> int:
    """Cut out single pictures."""
    from daemon import cutting

    failures = cutting.cut(files, out, config_path, start_logging=start_logging)
    for line in failures:
        click.echo(f"cvunetd: {line}", err=True)
    return EXIT_SOME_FAILED if failures else 0


@main.command()
@config_option
@answering
def status(config_path: Path | None) -> int:
    """Show what the daemon is doing and what became of the pictures."""
    from daemon import status as status_module

    for line in status_module.lines(config_path):
        click.echo(line)
    return 0


@main.command("check-config")
@config_option
@answering
def check_config(config_path: Path | None) -> int:
    """Check the configuration, its folders and the weights; one line for each fault."""
    from daemon import config, folders

    settings, base = config.load(config_path)
    found = folders.hot_folders(settings, base)
    weights = folders.find_weights(settings, base)
    if not weights.is_file():
        raise InstallError(f"weights {weights} are missing: mend model.weights or put them there")
    for folder in found:
        click.echo(f"{folder.name}: {folder.path} -> {folder.output_root}")
    click.echo(f"weights: {weights}")
    return 0


def start_logging(level: str) -> None:
    """Lines on standard error; under systemd without the time, which the journal has."""
    text = FORMAT.removeprefix("%(asctime)s ") if "JOURNAL_STREAM" in os.environ else FORMAT
    logging.basicConfig(level=level.upper(), format=text, stream=sys.stderr)
    logging.logThreads = False
    logging.logProcesses = False


def on_signal(stop: Callable[[int], None]) -> None:
    """SIGTERM and SIGINT call ``stop``, which only puts a message; a second one ends us at once."""
    seen: list[int] = []

    def handler(number: int, frame: FrameType | None) -> None:
        if seen:
            os._exit(128 + number)
        seen.append(number)
        stop(number)

    signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGINT, handler)
