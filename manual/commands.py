"""The command line's own help as `cvunetd(8)`."""

from collections.abc import Iterator

import click

from daemon import errors
from daemon.cli import main
from manual.roff import bold, heading, italic, item, items, marked, paragraphs, section, subsection

PROGRAM = "cvunetd"
#: Options that every command has.
SHARED = ("--config", "--help")
DESCRIPTION = """
`cvunetd` watches folders. It takes each picture that is dropped into one of them, and a neural
network cuts the subject out of the background. The result goes to a time-stamped output folder,
with the original beside it. Both are deleted after some days. One file, `cvunetd.yaml(5)`, holds
all settings.

It is made to be run by systemd. It tells systemd when it is ready, what it is doing, and that it is
still making progress.
"""
STATUSES = (
    ("0", "Success."),
    (
        str(errors.EXIT_SOME_FAILED),
        "Some pictures failed (`once`, `batch`, `cut`), or a check has failed (`doctor`,"
        " `healthz`).",
    ),
    (
        str(errors.EXIT_USAGE),
        "The command line is wrong, or `metrics.listen` is not set (`healthz`).",
    ),
    (
        str(errors.EXIT_BROKEN),
        "A device is dead, a disk or share cannot be used, or an unexpected error happened: start"
        " it again.",
    ),
    (
        str(errors.EXIT_INSTALL),
        "Configuration or weights are wrong, or another cvunetd uses the state folder. Starting"
        " again does not help; a person must correct it.",
    ),
)
SIGNALS = (
    ("SIGTERM, SIGINT", "Finish the pictures in work, and leave the others for the next start. A"
     " second signal ends the process at once."),
    ("SIGHUP", "`run` reads its configuration again, checks all of it, and then uses it. A wrong"
     " configuration is refused as a whole, with the reason in the log."),
)  # fmt: skip
FILES = (
    ("./config.yaml, /etc/cvunetd/config.yaml", "The configuration: the first of the two that"
     " exists; `--config` names another."),
    ("/srv/cvunetd/{hot,outputs,failed}", "Of the installed service: where pictures are dropped,"
     " where they come out, and where failed ones are kept with the reason."),
    ("/var/lib/cvunetd", "The ledger of all pictures, `ledger.db`, and `status.json`."),
    ("/opt/cvunetd", "The program; the network's weights are in `share/cvunetd/models`."),
)  # fmt: skip
ENVIRONMENT = (
    ("NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID", "Set by systemd, if it wants to be notified."),
    ("JOURNAL_STREAM", "Set by systemd: the log goes to the journal, with its fields, unless"
     " `log.format` says otherwise."),
    ("NUMBA_CACHE_DIR", "Where `postprocess.colours: refine` and `hair: exact` keep their"
     " compiled code."),
)  # fmt: skip
EXAMPLES = (
    ("cvunetd check-config --config /etc/cvunetd/config.yaml", "Check before you use it."),
    ("cvunetd status --json | jq .report.standby", "See which folders stand by, and why."),
    ("cvunetd why cat.jpg", "See what happened to a picture."),
    ("cvunetd cut photo.jpg -o cutout.png", "Cut out one picture, without a daemon."),
)
ALSO = ("cvunetd.yaml(5)", "systemctl(1)", "journalctl(1)")


def lines(version: str) -> list[str]:
    """The page."""
    return [
        heading(PROGRAM.upper(), 8, version=version, title="System Administration"),
        section("name"),
        rf"{PROGRAM} \- {lowered(main.help)}",
        section("synopsis"),
        f"{bold(PROGRAM)} {italic('command')} [{italic('options')}] [{italic('arguments')}]",
        section("description"),
        *paragraphs(DESCRIPTION),
        section("commands"),
        *(line for name, command in main.commands.items() for line in of_command(name, command)),
        section("options"),
        *shared_options(),
        *options(main),
        section("exit status"),
        *items(STATUSES),
        section("signals"),
        *items(SIGNALS),
        section("files"),
        *items(FILES),
        section("environment"),
        *items(ENVIRONMENT),
        section("examples"),
        *items(EXAMPLES),
        section("see also"),
        ",\n".join(map(bold, ALSO)),
    ]


def lowered(text: str | None) -> str:
    """A sentence as what a page's NAME holds."""
    text = marked((text or "").strip().rstrip("."))
    return text[:1].lower() + text[1:]


def of_command(name: str, command: click.Command) -> Iterator[str]:
    """How it is called, what it does, its options."""
    yield subsection(" ".join([PROGRAM, name, *arguments(command)]))
    yield from paragraphs(command.help or "")
    yield from options(command)
    if isinstance(command, click.Group):
        for inner, one in command.commands.items():
            yield from of_command(f"{name} {inner}", one)


def arguments(command: click.Command) -> Iterator[str]:
    """What has to be named, as the command's own help writes it."""
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            yield parameter.make_metavar(context_of(command))


def options(command: click.Command, *, shared: tuple[str, ...] = SHARED) -> Iterator[str]:
    """Each with its help, but for the ``shared`` ones."""
    context = context_of(command)
    for parameter in command.get_params(context):
        if isinstance(parameter, click.Option) and not set(shared) & set(parameter.opts):
            yield from of_option(parameter, context)


def shared_options() -> Iterator[str]:
    """Those of every command, told once."""
    command = main.commands["run"]
    context = context_of(command)
    for parameter in command.get_params(context):
        if isinstance(parameter, click.Option) and set(SHARED) & set(parameter.opts):
            yield from of_option(parameter, context)


def of_option(option: click.Option, context: click.Context) -> Iterator[str]:
    """Names, value, help."""
    names = ", ".join(map(bold, sorted(option.opts, key=len)))
    value = "" if option.is_flag else f" {italic(option.make_metavar(context))}"
    yield from item(names + value, option.help or "")


def context_of(command: click.Command) -> click.Context:
    """As when it is called."""
    return click.Context(command, **main.context_settings)
