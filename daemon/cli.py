"""The command line. Each command imports its heavy parts itself."""

import time
from datetime import datetime
from pathlib import Path

import click

from daemon.cli_endings import (
    exit_status,
    print_lines,
    print_results,
    quick_status,
    show_progress,
    typed_status,
)
from daemon.cli_options import (
    PATH,
    adjust_options,
    config_option,
    cut_options,
    json_option,
    result_options,
)
from daemon.commands.signals import on_signal
from daemon.errors import EXIT_SOME_FAILED, UsageError
from daemon.reporting import journal


def print_version(context: click.Context, option: click.Parameter, is_asked: bool) -> None:
    """Print what is installed, and end."""
    if is_asked and not context.resilient_parsing:
        from daemon.commands import version

        print_lines(version.lines())
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_version,
    help="Show the versions of cvunetd, torch, onnxruntime and the weights, and exit.",
)
def main() -> None:
    """A folder in which pictures lose their background."""


@main.command()
@click.argument("folder", default=".", type=click.Path(file_okay=False, path_type=Path))
@typed_status
def init(folder: Path) -> int:
    """Write a commented config.yaml into FOLDER (else here), and make the folders that it names."""
    from daemon.commands import init as command

    return print_lines(command.init(folder))


@main.command()
@click.option(
    "--make-missing",
    "makes_missing",
    is_flag=True,
    help="First make configured folders that are missing, and web.keys_file with a first key.",
)
@config_option
@exit_status
def run(config_path: Path | None, makes_missing: bool) -> int:
    """Watch the hot folders and cut out pictures until SIGTERM."""
    from daemon.commands import run as command

    return command.serve(
        config_path, start_logging=journal.start, on_signal=on_signal, makes_missing=makes_missing
    )


@main.command()
@click.option("--listen", help="Address, such as 127.0.0.1:8080; else that of web.listen.")
@config_option
@exit_status
def web(config_path: Path | None, listen: str | None) -> int:
    """Serve only the page and the API, for a daemon that runs elsewhere on this machine."""
    from daemon.commands import web as command

    return command.serve(config_path, listen, start_logging=journal.start, on_signal=on_signal)


@main.command("web-key")
@click.argument("name")
@exit_status
def web_key(name: str) -> int:
    """Make a key for a client of the API: NAME is for the log and for web.keys_file."""
    from daemon.commands import web as command

    return print_lines(command.new_key(name))


@main.command()
@config_option
@exit_status
def once(config_path: Path | None) -> int:
    """Cut out what is in the hot folders now, then exit; for cron."""
    from daemon.commands import once as command

    failed = command.once(config_path, start_logging=journal.start, on_signal=on_signal)
    return EXIT_SOME_FAILED if failed else 0


@main.command()
@click.argument(
    "source", metavar="IN", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.argument("out", metavar="OUT", type=click.Path(file_okay=False, path_type=Path))
@result_options
@adjust_options
@config_option
@exit_status
def batch(source: Path, out: Path, config_path: Path | None, **options: object) -> int:
    """Cut out all pictures of folder IN into folder OUT; a second run resumes."""
    from daemon.commands import batch as command

    failed = command.batch(
        source,
        out,
        config_path,
        start_logging=journal.start,
        on_signal=on_signal,
        tell=lambda line: print_lines([line]),
        options=options,
    )
    return EXIT_SOME_FAILED if failed else 0


@main.command()
@click.argument("files", nargs=-1, required=True, type=PATH)
@click.option(
    "-o",
    "--out",
    required=True,
    type=PATH,
    help="Output folder. For a single input also a file: its suffix decides the format.",
)
@cut_options
@adjust_options
@config_option
@typed_status
def cut(files: tuple[Path, ...], out: Path, config_path: Path | None, **options: object) -> int:
    """Cut out single pictures and clips."""
    from daemon.commands import cut as command

    results = command.cut(
        files,
        out,
        config_path,
        start_logging=journal.start,
        on_signal=on_signal,
        tell=show_progress,
        options=options,
    )
    return print_results(results)


@main.command()
@json_option
@config_option
@quick_status
def status(config_path: Path | None, is_json: bool) -> int:
    """Show what the daemon is doing and what happened to the pictures."""
    from daemon.commands import status as command
    from daemon.commands import status_text

    now = time.time()
    found = command.collect(config_path, now=now)
    return print_lines([command.document(found)] if is_json else status_text.lines(found, now=now))


@main.command()
@config_option
@exit_status
def healthz(config_path: Path | None) -> int:
    """Ask the daemon whether it makes progress: exit status 1 if not, 2 without metrics.listen."""
    from daemon.commands import healthz as command

    health = command.ask(config_path)
    print_lines([health.text])
    return 0 if health.is_healthy else EXIT_SOME_FAILED


@main.command()
@json_option
@config_option
@quick_status
def doctor(config_path: Path | None, is_json: bool) -> int:
    """Check the installation, and print the command or setting that repairs each fault."""
    from daemon.commands import doctor as command

    findings = list(command.examine(config_path, now=time.time()))
    print_lines([command.document(findings)] if is_json else command.lines(findings))
    return 0 if command.is_well(findings) else EXIT_SOME_FAILED


@main.command()
@click.argument("file", type=PATH)
@config_option
@quick_status
def why(file: Path, config_path: Path | None) -> int:
    """Say what happened to a picture, or why nothing did; FILE is any of its paths, or its name."""
    from daemon.commands import why as command

    return print_lines(command.lines(config_path, file))


@main.command()
@click.argument("files", nargs=-1, type=PATH)
@click.option("--all", "is_all", is_flag=True, help="All pictures in quarantine.")
@config_option
@typed_status
def retry(files: tuple[Path, ...], is_all: bool, config_path: Path | None) -> int:
    """Move pictures from quarantine back to their hot folders, to try them again."""
    from daemon.commands import retry as command

    if is_all == bool(files):
        raise UsageError("name pictures in quarantine, or use --all")
    failures: list[Path] = []
    print_lines(command.retry(config_path, files, is_all=is_all, failures=failures))
    return EXIT_SOME_FAILED if failures else 0


@main.command()
@click.option("--dry-run", "is_dry", is_flag=True, help="Only print what would be deleted.")
@config_option
@typed_status
def clean(is_dry: bool, config_path: Path | None) -> int:
    """Delete everything older than retention.keep_days; a running daemon does this itself."""
    from daemon.commands import clean as command

    local_now = datetime.now()  # noqa: DTZ005  # drops are named in local time
    return print_lines(
        command.clean(config_path, is_dry=is_dry, start_logging=journal.start, local_now=local_now)
    )


@main.group()
def models() -> None:
    """List, add and check models. Nothing is ever downloaded."""


@models.command("list")
@config_option
@typed_status
def models_list(config_path: Path | None) -> int:
    """List the configured models, and the families that `add` recognises."""
    from daemon.commands import models as command

    return print_lines(command.list_lines(config_path))


@models.command("add")
@click.argument("file", type=PATH)
@click.option("--family", metavar="NAME", help="What the model is, if FILE does not say.")
@typed_status
def models_add(file: Path, family: str | None) -> int:
    """Describe an ONNX FILE that you have; writes its .yaml beside it."""
    from daemon.commands import models as command

    return print_lines(command.add_lines(file, family=family))


@models.command("check")
@click.argument("name")
@config_option
@typed_status
def models_check(name: str, config_path: Path | None) -> int:
    """Run model NAME on a built-in picture; print seconds, memory, size, device."""
    from daemon.commands import models as command

    return print_lines(command.check_lines(config_path, name))


@main.command("systemd-paths")
@config_option
@typed_status
def systemd_paths(config_path: Path | None) -> int:
    """Print the systemd drop-in that lets the service reach all configured folders."""
    from daemon.commands import systemd_paths as command

    return print_lines(command.lines(config_path))


@main.command("check-config")
@config_option
@typed_status
def check_config(config_path: Path | None) -> int:
    """Check the configuration, its folders and the weights; print one line per fault."""
    from daemon.commands import check_config as command

    return print_lines(command.lines(config_path))
