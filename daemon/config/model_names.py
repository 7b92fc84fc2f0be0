"""Names of models in the configuration: which there are, and folders that name another one."""

from collections.abc import Iterator, Sequence

from daemon.config.model_schema import DEFAULT_NAME
from daemon.config.near_names import did_you_mean
from daemon.config.output_schema import NO_SECOND, Output
from daemon.config.schema import Config
from daemon.jobs import HotFolder


def model_names(config: Config) -> list[str]:
    """Return the names that `folders[].model` may have; the first is the default."""
    return list(config.models) or [DEFAULT_NAME]


def second_of(output: Output) -> str:
    """Return the name of the second model; empty if there is none."""
    return "" if output.review.second == NO_SECOND else output.review.second


def model_faults(folder: HotFolder, known: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with the names of a folder's models."""
    if folder.model not in known:
        yield f"folder {folder.name}: model {folder.model!r} {unknown(known, folder.model)}"
    if not folder.second:
        return
    key = f"folder {folder.name}: output.review.second"
    if folder.second not in known:
        yield f"{key} {folder.second!r} {unknown(known, folder.second)}"
    elif folder.second == folder.model:
        yield (
            f"{key} is {folder.second!r}, which is the folder's own model: name another one of"
            f" models, or write second: {NO_SECOND} for this folder"
        )


def unknown(known: Sequence[str], name: str) -> str:
    """Return the end of a sentence about a name that is none of the models."""
    told = f"is none of models: {', '.join(known)}"
    return "; ".join(filter(None, (told, did_you_mean(name, known))))
