"""Options that several commands have; those of `cut` and `batch` win over the configuration."""

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

PATH = click.Path(path_type=Path)
F = TypeVar("F", bound=Callable[..., Any])  # Any: of a command, whatever it takes

PRESETS = ("none", "marketplace", "square", "portrait")
FORMATS = ("png", "webp", "webp-lossless", "avif", "tiff", "jpeg")
VIDEO_FORMATS = ("webm", "mov-prores", "mov-qtrle", "png-sequence", "apng", "mp4", "alpha")
CONTENTS = ("cutout", "alpha", "both")
KEEPS = ("all", "largest")
#: What people type for a format's name.
OTHER_NAMES = {"jpg": "jpeg", "tif": "tiff"}


class Names(click.Choice[str]):
    """One of a few names; for an unknown one the nearest is told."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:  # Any: as in click
        """Return the name; click's usage error for any other."""
        value = OTHER_NAMES.get(value, value)
        if value in self.choices:
            return str(value)
        near = difflib.get_close_matches(str(value), self.choices, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}? " if near else ""
        known = ", ".join(self.choices)
        raise click.BadParameter(f"{value!r} is unknown; {hint}known are {known}", ctx, param)


def result_options(command: F) -> F:
    """Add the options that say what a result is."""
    return _with_results(command, FORMATS, "File format of the results.")


def cut_options(command: F) -> F:
    """Add the same, and those for clips."""
    formats = (*FORMATS, *VIDEO_FORMATS)
    command = with_options(
        command,
        click.option("--from", metavar="TIME", help="Of clips: begin here (seconds, or h:mm:ss)."),
        click.option("--to", metavar="TIME", help="Of clips: end here."),
    )
    return _with_results(command, formats, "File format of the results, of pictures or clips.")


def _with_results(command: F, formats: tuple[str, ...], text: str) -> F:
    return with_options(
        command,
        click.option("--preset", type=Names(PRESETS), help="A set of settings for one purpose."),
        click.option("--format", type=Names(formats), help=text),
        click.option(
            "--background",
            metavar="COLOUR|FILE",
            help="What is behind the subject: '#rrggbb', a picture, a clip, or none (transparent).",
        ),
        click.option(
            "--content",
            type=Names(CONTENTS),
            help="The subject, its mask in grey, or both files.",
        ),
        click.option(
            "--model",
            type=click.Path(readable=False),
            metavar="NAME|FILE",
            help="The model: a name of `models` in the configuration, or an .onnx or .pth file.",
        ),
    )


def adjust_options(command: F) -> F:
    """Add the options that change the mask."""
    return with_options(
        command,
        click.option("--low", type=float, help="Alphas up to this one (0 to 1) become 0."),
        click.option("--high", type=float, help="Alphas from this one on (0 to 1) become 1."),
        click.option(
            "--shift",
            type=float,
            metavar="PX",
            help="Move the edge by so many pixels: outwards, or inwards if negative.",
        ),
        click.option(
            "--feather",
            type=float,
            metavar="PX",
            help="Soften the edge over so many pixels on each side.",
        ),
        click.option(
            "--fill-holes",
            type=float,
            metavar="SHARE",
            help="Fill holes smaller than this share (0 to 1) of the subject.",
        ),
        click.option(
            "--keep", type=Names(KEEPS), help="All parts of the subject, or only the largest."
        ),
    )


def with_options(command: F, *options: Callable[[F], F]) -> F:
    """Add options in the order in which the help text shows them."""
    for option in reversed(options):
        command = option(command)
    return command


config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, readable=False),
    help="Configuration; else ./config.yaml, else /etc/cvunetd/config.yaml, else all defaults.",
)
json_option = click.option("--json", "is_json", is_flag=True, help="Print JSON, for programs.")
