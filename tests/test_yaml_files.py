"""YAML documents: strict, and errors that name the place."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cvunet import yaml_files
from cvunet.errors import DocumentError


@dataclass(frozen=True, slots=True)
class Pet:
    """Two required keys, two with defaults."""

    name: str
    legs: int
    is_tame: bool = True
    toys: tuple[str, ...] = field(default_factory=tuple)


def test_round_trip_keeps_order(tmp_path: Path):
    """What is written is read, keys in the given order."""
    path = tmp_path / "pet.yaml"
    content = {"name": "Mia", "legs": 4, "a": {"z": 1, "b": [1, 2]}}

    yaml_files.write(path, content)

    assert list(yaml_files.read(path)) == ["name", "legs", "a"]
    assert yaml_files.read(path) == content


@pytest.mark.parametrize(
    "content",
    [
        b"- a\n- b\n",
        b"",
        b"a: [1\n",
        b"!!python/object:os.system {}\n",
        b"a: \xe9\n",
        b"a: 2026-99-99\n",
        b"[" * 5000,
    ],
    ids=["list", "empty", "broken", "object", "latin-1", "no date", "deep"],
)
def test_no_mapping_is_an_error_with_the_path(tmp_path: Path, content: bytes):
    """Lists, empty files, broken YAML, Python objects and texts that are not UTF-8 are refused."""
    path = tmp_path / "pet.yaml"
    path.write_bytes(content)

    with pytest.raises(DocumentError, match=r"pet\.yaml"):
        yaml_files.read(path)


def test_missing_file_is_an_error_with_the_path(tmp_path: Path):
    """A file that is not there is no traceback."""
    with pytest.raises(DocumentError, match=r"absent\.yaml"):
        yaml_files.read(tmp_path / "absent.yaml")


def test_build_fills_defaults():
    """Keys that have defaults may be left out."""
    assert yaml_files.build(Pet, {"name": "Mia", "legs": 4}, "x") == Pet("Mia", 4)


def test_unknown_key_is_named():
    """With the place and the keys that are known."""
    with pytest.raises(DocumentError, match=r"x: unknown key 'wings'; known keys: name, legs"):
        yaml_files.build(Pet, {"name": "Mia", "legs": 4, "wings": 2}, "x")


def test_unknown_key_may_be_a_number():
    """YAML has keys of all kinds, and no order among them."""
    with pytest.raises(DocumentError, match="x: unknown key 1; known keys"):
        yaml_files.build(Pet, {"wings": 2, 1: 2}, "x")  # type: ignore[dict-item]  # as YAML gives it


def test_missing_key_is_named():
    """With the place."""
    with pytest.raises(DocumentError, match=r"x: key 'legs' is missing"):
        yaml_files.build(Pet, {"name": "Mia"}, "x")
