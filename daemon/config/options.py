"""Options of the command line as settings: what a person types wins over the configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from daemon.config import chosen_models
from daemon.config.faults import Place, describe
from daemon.config.overrides import merged_output, merged_postprocess
from daemon.config.schema import Config, Folder
from daemon.errors import InstallError, UsageError

#: Each option, and the key of a folder that it stands for.
KEYS = {
    "preset": ("output", "preset"),
    "format": ("output", "format"),
    "background": ("output", "background"),
    "content": ("output", "content"),
    "low": ("postprocess", "adjust", "low"),
    "high": ("postprocess", "adjust", "high"),
    "shift": ("postprocess", "adjust", "shift_px"),
    "feather": ("postprocess", "adjust", "feather_px"),
    "fill_holes": ("postprocess", "adjust", "fill_holes"),
    "keep": ("postprocess", "adjust", "keep"),
}
TRANSPARENT = ("none", "null")  # null as in config.yaml


def apply(config: Config, options: Mapping[str, object], *, current: Path) -> Config:
    """Return the configuration with all given options in it; None is an option not given.

    ``current`` is the folder from which a relative path of a background starts. `UsageError` has a
    line for each option with a wrong value.
    """
    given = {name: value for name, value in options.items() if value is not None}
    model = given.pop("model", None)
    config = chosen_models.choose(config, None if model is None else str(model), current=current)
    if not given:
        return config
    if "background" in given:
        given["background"] = background(str(given["background"]), current)
    folder = folder_of(given)
    try:
        output = merged_output(config, folder.output)
        post = merged_postprocess(config, folder.postprocess)
    except InstallError as error:
        raise UsageError(str(error).removeprefix("postprocess.adjust: ")) from error
    # What the preset sets is in the other keys now. Its name would bring back what they replace.
    output = output.model_copy(update={"preset": "none"})
    return config.model_copy(update={"output": output, "postprocess": post})


def background(text: str, current: Path) -> str | None:
    """Return a colour as it is, a picture's path from the root, and None for transparency."""
    if text in TRANSPARENT:
        return None
    return text if text.startswith("#") or "." not in text else str(current / text)


def folder_of(given: Mapping[str, object]) -> Folder:
    """Return options as the own settings of a folder; `UsageError` for wrong values."""
    document: dict[str, Any] = {"path": "."}  # Any: as read from a file
    for name, value in given.items():
        place = document
        for section in KEYS[name][:-1]:
            place = place.setdefault(section, {})
        place[KEYS[name][-1]] = value
    try:
        return Folder.model_validate(document)
    except ValidationError as error:
        options: dict[Place, str] = {
            place: f"--{name.replace('_', '-')}" for name, place in KEYS.items()
        }
        lines = [
            describe(
                ((options[fault["loc"]],), fault["type"], fault["msg"], fault["input"]), Folder
            )
            for fault in error.errors()
        ]
        # The file says null, the command line none.
        text = "\n".join(lines).replace("null for transparency", "none for transparency")
        raise UsageError(text) from error
