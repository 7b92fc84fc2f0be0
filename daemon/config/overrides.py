"""A folder's own settings over the common ones, key by key."""

from typing import Any

from daemon.config.output_schema import Output, OutputOverrides
from daemon.config.postprocess_schema import (
    Adjust,
    Postprocess,
    PostprocessOverrides,
    levels_fault,
)
from daemon.config.presets import PRESETS
from daemon.config.schema import Config
from daemon.errors import InstallError


def merged_output(config: Config, own: OutputOverrides) -> Output:
    """Merge a folder's own ``output:`` with the common one, each on top of its preset.

    config.yaml lists all keys, so a common key with its default value does not override the preset.
    A key in a folder's own section always counts.
    """
    common = differences(config.output.model_dump(), Output().model_dump())
    if own.preset is None:
        layers = [PRESETS[config.output.preset], common]
    else:
        layers = [common, PRESETS[own.preset]]
    return Output.model_validate(merged(*layers, own.model_dump(exclude_unset=True)))


def merged(*layers: dict[str, Any]) -> dict[str, Any]:  # Any: values of any setting
    """Merge sections; later ones win.

    Null keeps the earlier value, but makes a background transparent.
    """
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            if isinstance(value, dict):
                result[key] = merged(result.get(key, {}), value)
            elif value is not None or key == "background":
                result[key] = value
    return result


def differences(
    section: dict[str, Any], default: dict[str, Any]
) -> dict[str, Any]:  # Any: as above
    """Return the values of a section that differ from its defaults."""
    return {
        key: differences(value, default[key]) if isinstance(value, dict) else value
        for key, value in section.items()
        if value != default[key]
    }


def merged_postprocess(config: Config, own: PostprocessOverrides) -> Postprocess:
    """Merge a folder's own ``postprocess:`` with the common one.

    `InstallError` if the levels of both contradict each other.
    """
    values = merged(config.postprocess.model_dump(), own.model_dump(exclude_unset=True))
    adjust = Adjust.model_construct(**values["adjust"])
    if adjust.low >= adjust.high:
        raise InstallError(f"postprocess.adjust: {levels_fault(adjust)}")
    return Postprocess.model_validate(values)
