"""`cvunetd models`: which models there are, what a file is, what a model takes here."""

from collections.abc import Iterator
from pathlib import Path

from daemon.config import folders as hot_folders
from daemon.config import schema
from daemon.config.models import model_settings
from daemon.errors import InstallError, UsageError, printable
from daemon.settings import ModelSettings
from daemon.worker import model_files
from daemon.worker.model_files import Facts

MEGA = 1_000_000
NO_DOWNLOADS = (
    "cvunetd downloads nothing: get a file from its source, then: cvunetd models add FILE"
)


def list_lines(config_path: Path | None) -> Iterator[str]:
    """Yield the configured models, each with what is wrong with it, then the known families."""
    config, base = schema.load(config_path)
    for number, model in enumerate(model_settings(config, base)):
        default = " (default)" if number == 0 else ""
        yield f"{model.name}{default}: {printable(model.file)}"
        yield f"  {state_of(model)}"
    yield ""
    yield "families that `cvunetd models add FILE` recognises:"
    yield from (
        f"  {name}: licence {licence}; {source}"
        for name, licence, source in model_files.families_known()
    )
    yield NO_DOWNLOADS


def state_of(model: ModelSettings) -> str:
    """Return what a model is, or what is wrong with it."""
    try:
        return summary(model_files.facts_of(model))
    except InstallError as error:
        return f"cannot be used: {error}"


def summary(facts: Facts) -> str:
    """Return family, size, licence and source in one line."""
    return (
        f"{facts.family}, {facts.bytes / MEGA:.0f} MB, licence {facts.licence}, from {facts.source}"
    )


def add_lines(file: Path, *, family: str | None) -> Iterator[str]:
    """Describe a file, and yield what it is and how to use it."""
    if not file.is_file():
        raise UsageError(f"{printable(file)}: there is no such file; {NO_DOWNLOADS}")
    path = file.resolve()
    facts, entry, evidence = model_files.add(path, family=family)
    yield f"{printable(path)}: {facts.family} ({evidence})"
    yield f"  {summary(facts)}"
    yield f"  described in {printable(entry)}"
    yield "now name it in config.yaml:"
    yield "  models:"
    yield f"    {facts.family}: {printable(path)}"
    yield f"then: cvunetd models check {facts.family}"


def check_lines(config_path: Path | None, name: str) -> Iterator[str]:
    """Load one model and run it on the built-in picture."""
    config, base = schema.load(config_path)
    models = {model.name: model for model in model_settings(config, base)}
    if name not in models:
        raise UsageError(f"there is no model {name!r}: choose one of {', '.join(models)}")
    folders = (hot_folders.resolve(base, config.state_dir),)
    checked = model_files.check(models[name], folders, lambda step: None)
    trial = checked.trial
    yield f"{name}: {summary(checked.facts)}"
    yield f"  device: {checked.device}, runtime: {checked.runtime}"
    yield f"  input: {trial.sides[0]}x{trial.sides[1]} pixels"
    yield f"  seconds a picture: {trial.later_s:.2f} (the first: {trial.first_s:.2f})"
    yield f"  memory: {checked.load_bytes / MEGA:.0f} MB"
    yield f"  subject: {trial.share:.0%} of the built-in picture (a disc of about 19 %)"
