"""Models that people have: described, listed and tried, for `cvunetd models`."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cvunet import errors as cvunet_errors
from cvunet.inference import model_files
from cvunet.inference.model_files import Trial
from cvunet.models import description as descriptions
from cvunet.models import families, manifest
from daemon.errors import InstallError
from daemon.settings import ModelSettings
from daemon.worker import host_memory
from daemon.worker.predictors import open_predictor, options_of, translated_errors


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a model."""

    family: str
    licence: str
    source: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Checked:
    """What a model takes on this machine."""

    facts: Facts
    device: str
    runtime: str
    load_bytes: int
    """How much the process grew by it."""
    trial: Trial


def families_known() -> list[tuple[str, str, str]]:
    """Return name, licence and source of each family that `add` recognises."""
    return [(one.name, one.licence, one.source) for one in families.FAMILIES]


def add(file: Path, *, family: str | None) -> tuple[Facts, Path, str]:
    """Describe a file: its facts, the entry's file, how its family was recognised."""
    try:
        added = model_files.add(file, family=family)
    except cvunet_errors.CvunetError as error:
        raise InstallError(str(error)) from error
    return facts_of_description(added.description), added.entry, added.evidence


def facts_of(model: ModelSettings) -> Facts:
    """Return what is known of a model; `InstallError` if its file or its entry is wrong."""
    with translated_errors():
        if model.file.suffix == ".onnx":
            return facts_of_description(descriptions.read(model.file))
        size = len(manifest.read_checked(model.file))
        entry = manifest.weights_entry(model.file)
    licence, source = (str(entry.get(key, "unknown")) for key in ("licence", "source"))
    return Facts("cvunet", licence, source, size)


def facts_of_description(described: descriptions.Description) -> Facts:
    """Return the facts of a description."""
    return Facts(described.family, described.licence, described.source, described.bytes)


def check(
    model: ModelSettings, export_folders: tuple[Path, ...], on_step: Callable[[str], object]
) -> Checked:
    """Load a model as the daemon does, and run it on the built-in picture."""
    facts = facts_of(model)
    host_memory.check_fits(model.file, host_memory.available_bytes())
    before = host_memory.own_bytes()
    options = options_of(model, export_folders)
    predictor = open_predictor(replace(options, device=model.devices[0], threads=1), on_step)
    try:
        trial = model_files.attempt(predictor)
    except cvunet_errors.CvunetError as error:
        raise InstallError(f"{model.file}: {error}") from error
    grown = host_memory.own_bytes() - before
    return Checked(facts, str(predictor.device), predictor.runtime, grown, trial)
