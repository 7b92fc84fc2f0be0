"""`manifest.yaml` beside models: which SHA-256 each file must have. Read without torch."""

import hashlib
import sys
from pathlib import Path
from typing import Any

from cvunet import files, yaml_files
from cvunet.errors import DocumentError, WeightsError

MANIFEST = "manifest.yaml"
#: The weights that the project ships, below the source tree or below `INSTALLED`.
SHIPPED = Path("models/cvunet.pth")
INSTALLED = Path("share/cvunetd")


def installed() -> Path:
    """The weights file that came with the package; `WeightsError` if there is none."""
    source_tree = Path(__file__).resolve().parents[2]
    places = [root / SHIPPED for root in (source_tree, Path(sys.prefix) / INSTALLED)]
    for place in places:
        if place.exists():
            return place
    raise WeightsError(
        f"no weights file is installed (neither {places[0]} nor {places[1]} exists): install the"
        " package again, or name a weights file"
    )


def record(manifest_path: Path, name: str, sha256: str, size: int) -> None:
    """Enter a file's SHA-256 and its size in bytes into the manifest.

    Other entries stay, and so does what else is written of this file: its licence and its source.
    """
    manifest = yaml_files.read(manifest_path) if manifest_path.exists() else {}
    known = weights_entry(manifest_path.with_name(name))
    manifest.setdefault("weights", {})[name] = {**known, "sha256": sha256, "bytes": size}
    files.write_whole(manifest_path, yaml_files.text(manifest).encode())


def read(path: Path) -> bytes:
    """The bytes of a model's file; `WeightsError` if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"{path}: the weights cannot be read ({error.strerror}): put the file there, or name "
            "another one (model.weights)"
        ) from error


def read_checked(path: Path, *, sha256: str | None = None) -> bytes:
    """The bytes of a weights file, read once, so what is hashed is what is loaded.

    It must have the SHA-256 that is in the manifest beside it, or ``sha256`` if given;
    `WeightsError` if it has not.
    """
    data = read(path)
    if sha256 is None:
        _check(path, data)
    elif (found := hashlib.sha256(data).hexdigest()) != sha256:
        raise WeightsError(f"{path}: SHA-256 is {found}, expected {sha256}: fetch the file again")
    return data


def _check(path: Path, data: bytes) -> None:
    """`WeightsError` if these bytes are not in the manifest beside the file."""
    manifest_path = path.with_name(MANIFEST)
    found = hashlib.sha256(data).hexdigest()
    remedy = (
        f"fetch the file again, or record your own with: python -m cvunet.weights record {path}"
    )
    try:
        expected = yaml_files.read(manifest_path)["weights"][path.name]["sha256"]
    except (DocumentError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{path}: has no SHA-256 in {manifest_path} (the file's is {found}): {remedy}"
        ) from error
    if str(expected).lower() != found:
        raise WeightsError(f"{path}: SHA-256 is {found}, expected {expected}: {remedy}")


def weights_entry(path: Path) -> dict[str, Any]:  # Any: YAML values
    """What the manifest says of a weights file besides its hash; empty if it says nothing."""
    manifest_path = path.with_name(MANIFEST)
    entries = yaml_files.read(manifest_path).get("weights") if manifest_path.exists() else None
    entry = entries.get(path.name) if isinstance(entries, dict) else None
    return entry if isinstance(entry, dict) else {}


def find_entry(path: Path) -> dict[str, Any] | None:  # Any: YAML values, checked by the caller
    """What is written of a model's file: `NAME.yaml` beside it, else its line in `manifest.yaml`.

    Beside a link, else beside the file that it leads to. None if nothing is written.
    `DocumentError` if a file is there and cannot be read.
    """
    entry = find_beside(path)
    if entry is None and path.is_symlink():
        return find_beside(path.resolve())
    return entry


def find_beside(path: Path) -> dict[str, Any] | None:  # Any: as above
    """Do as `find_entry`, in the folder of this very path."""
    own = path.with_suffix(".yaml")
    if own.name != MANIFEST and own.exists():
        return yaml_files.read(own)
    manifest_path = path.with_name(MANIFEST)
    if not manifest_path.exists():
        return None
    entries = yaml_files.read(manifest_path).get("models")
    entry = entries.get(path.name) if isinstance(entries, dict) else None
    return entry if isinstance(entry, dict) else None
