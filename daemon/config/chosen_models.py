"""The models of one `cut` or `batch`: the one that a person named, and the second one, if any."""

from pathlib import Path

from daemon.config.model_names import model_names, second_of, unknown
from daemon.config.model_schema import DEFAULT_NAME, MODEL_NAME, Model, NamedModel
from daemon.config.near_names import did_you_mean
from daemon.config.output_schema import NO_SECOND
from daemon.config.schema import Config
from daemon.errors import InstallError, UsageError, asked_about

SUFFIXES = (".onnx", ".pth")
#: The name of a model's file whose own name cannot be a model's.
FILE_NAME = "model"


def choose(config: Config, named: str | None, *, current: Path) -> Config:
    """Return the configuration with only the models that are needed, the wanted one first.

    ``named``: a name of `models:`, or a file, whose path starts from ``current``; None is the first
    model. `UsageError` if there is none of that name, `InstallError` if the second one is unknown.
    """
    known = model_names(config)
    second = second_of(config.output)
    if second and second not in known:
        raise InstallError(f"output.review.second {second!r} {unknown(known, second)}")
    entries = dict(config.models) or {DEFAULT_NAME: NamedModel(file=config.model.weights)}
    own = known[0] if named is None or named in known else ""
    if named is not None:
        own, entry = named_entry(named, entries, current=current)
        entries[own] = entry
    if second == own:
        if named is None:
            raise InstallError(
                f"output.review.second is {second!r}, which is the first model already: name"
                f" another one of models, or write second: {NO_SECOND}"
            )
        second = ""  # what a person types wins
    if not config.models and own == DEFAULT_NAME:
        return with_second(config, second)
    needed = {name: entries[name] for name in (own, second) if name}
    model = config.model.model_copy(update={"weights": Model().weights})
    return with_second(config.model_copy(update={"models": needed, "model": model}), second)


def with_second(config: Config, second: str) -> Config:
    """Return the configuration with this second model; empty for none."""
    if second == second_of(config.output):
        return config
    review = config.output.review.model_copy(update={"second": second or NO_SECOND})
    return config.model_copy(update={"output": config.output.model_copy(update={"review": review})})


def named_entry(
    named: str, entries: dict[str, NamedModel], *, current: Path
) -> tuple[str, NamedModel]:
    """Return name and entry of what a person has typed; `UsageError` if there is no such model."""
    if named in entries:
        return named, entries[named]
    path = current / Path(named).expanduser()
    if path.suffix not in SUFFIXES:
        hint = " ".join(filter(None, (did_you_mean(named, entries), "known are")))
        raise UsageError(
            f"--model: {named!r} is unknown; {hint} {', '.join(entries)}, and files that"
            f" end in {' or '.join(SUFFIXES)}"
        )
    with asked_about(path):
        is_there = path.is_file()
    if not is_there:
        raise UsageError(f"--model: there is no file {named}")
    is_free = MODEL_NAME.fullmatch(path.stem) is not None and path.stem not in entries
    name = path.stem if is_free and path.stem != NO_SECOND else FILE_NAME
    while name in entries:
        name += "-2"
    return name, NamedModel(file=path)
