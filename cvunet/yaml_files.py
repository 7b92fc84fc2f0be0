"""Read YAML strictly into frozen dataclasses: recipes and the manifest of weights."""

import dataclasses
from pathlib import Path
from typing import Any, TypeVar

import yaml

from cvunet.errors import DocumentError

T = TypeVar("T")


def read(path: Path) -> dict[str, Any]:  # Any: YAML values, checked by the caller
    """The mapping in a YAML file; `DocumentError` if it cannot be read or is not a mapping."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    # ValueError: no UTF-8, or a date that does not exist. RecursionError: nested too deeply.
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise DocumentError(f"{path}: cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise DocumentError(f"{path}: expected a mapping of keys to values")
    return content


def text(content: dict[str, Any]) -> str:
    """A mapping as YAML; keys stay in their order."""
    dumped: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    return dumped


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a mapping as YAML; keys stay in their order."""
    path.write_text(text(content), encoding="utf-8")


def build(kind: type[T], content: dict[str, Any], where: str) -> T:
    """Make a dataclass from a mapping; `DocumentError` names an unknown or missing key."""
    assert dataclasses.is_dataclass(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    unknown = sorted(set(content) - set(fields), key=str)  # a key may be a number
    if unknown:
        known = ", ".join(fields)
        raise DocumentError(f"{where}: unknown key {unknown[0]!r}; known keys: {known}")
    required = {
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    missing = sorted(required - set(content))
    if missing:
        raise DocumentError(f"{where}: key {missing[0]!r} is missing")
    return kind(**content)
