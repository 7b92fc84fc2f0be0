"""The models that are served: those of `models:`, or the one of `model.weights`."""

from pathlib import Path

from daemon.config import shipped_files
from daemon.config.folders import resolve
from daemon.config.model_schema import DEFAULT_NAME, Model, NamedModel
from daemon.config.schema import Config
from daemon.errors import InstallError
from daemon.settings import ModelSettings


def find_weights(config: Config, base: Path) -> Path:
    """Return the weights file: as written, or the one that was installed with the program."""
    return find_file(config.model.weights, base)


def find_file(file: Path, base: Path) -> Path:
    """Return a model's file; the default weights may be those installed with the program.

    A link to another's model keeps its name: the model may be described beside the link.
    """
    is_ours = file.suffix == Model().weights.suffix
    named = resolve(base, file) if is_ours else resolve(base, file.parent) / file.name
    if file != Model().weights or named.exists():
        return named
    return shipped_files.find(file) or named


def model_settings(config: Config, base: Path) -> tuple[ModelSettings, ...]:
    """Return every model with its settings; the first is the default of folders.

    `InstallError` if `model.weights` names one besides `models:`.
    """
    if not config.models:
        return (settings_of(DEFAULT_NAME, NamedModel(file=config.model.weights), config, base),)
    if config.model.weights != Model().weights:
        raise InstallError(
            "model.weights and models both name a model: move the weights into models, as"
            f" {DEFAULT_NAME}: {config.model.weights}"
        )
    return tuple(settings_of(name, one, config, base) for name, one in config.models.items())


def settings_of(name: str, model: NamedModel, config: Config, base: Path) -> ModelSettings:
    """Return one model's settings; what its entry leaves out is as in `model:`."""
    common = config.model
    device = common.device if model.device is None else model.device
    return ModelSettings(
        name=name,
        file=find_file(model.file, base),
        devices=(device,) if isinstance(device, str) else tuple(device),
        runtime=model.runtime or common.runtime,
        precision=model.precision or common.precision,
        input_size=model.input_size or common.input_size,
        is_mirrored=common.mirror if model.mirror is None else model.mirror,
    )
