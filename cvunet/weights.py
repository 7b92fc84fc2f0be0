"""Weights files: written in half precision; read only if their SHA-256 is in the manifest.

`python -m cvunet.weights record FILE` enters a file of your own into the manifest beside it.
"""

import argparse
import dataclasses
import hashlib
import io
import logging
import sys
from pathlib import Path
from typing import Any

import torch

from cvunet import files, yaml_files
from cvunet.errors import CvunetError, WeightsError
from cvunet.models import manifest
from cvunet.models.manifest import MANIFEST, installed, record
from cvunet.network.network import CVUNet, NetworkConfig

__all__ = [
    "MANIFEST",
    "Provenance",
    "installed",
    "load",
    "load_with_provenance",
    "record",
    "save",
    "shapes",
]

logger = logging.getLogger(__name__)

Provenance = dict[str, str | int | float | bool | None]


def save(path: Path, model: CVUNet, *, config: NetworkConfig, provenance: Provenance) -> str:
    """Write a weights file, whole or not at all, and return its SHA-256.

    `WeightsError` if a number does not fit into half precision. ``provenance`` says how it was
    trained.
    """
    state = {name: _halved(name, tensor) for name, tensor in model.state_dict().items()}
    buffer = io.BytesIO()
    torch.save(
        {
            "config": dataclasses.asdict(config),
            "state_dict": state,
            "provenance": provenance,
        },
        buffer,
    )
    data = buffer.getvalue()
    files.write_whole(path, data)
    return hashlib.sha256(data).hexdigest()


def _halved(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """The tensor on the CPU; floating-point numbers in float16, counters unchanged."""
    tensor = tensor.detach().cpu()
    if not tensor.is_floating_point():
        return tensor
    half = tensor.half()
    if not torch.isfinite(half).all():
        raise WeightsError(f"{name} holds numbers that are not finite in float16: train it again")
    return half


def load(path: Path, *, sha256: str | None = None) -> CVUNet:
    """Load a network, in float32 and evaluation mode.

    The file must have the SHA-256 that is in the manifest beside it, or ``sha256`` if given.
    `WeightsError` if it has not, or if it holds another network. The file is read once, so the
    bytes that are hashed are the bytes that are loaded.
    """
    return _decode(path, manifest.read_checked(path, sha256=sha256))[0]


def load_with_provenance(path: Path) -> tuple[CVUNet, Provenance]:
    """Load as `load` does; return also how the network was trained."""
    return _decode(path, manifest.read_checked(path, sha256=None))


def shapes(model: CVUNet) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor by name: the same for networks of one kind."""
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _decode(path: Path, data: bytes) -> tuple[CVUNet, Provenance]:
    try:
        content: dict[str, Any] = torch.load(  # Any: checked by what is built from it
            io.BytesIO(data), map_location="cpu", weights_only=True
        )
        model = CVUNet(_config(content["config"]))
        model.load_state_dict(content["state_dict"], strict=True)
    except MemoryError:
        raise
    except Exception as error:  # pickle, zip files and torch fail in their own ways
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise WeightsError(
            f"{path}: not the weights of a CV-UNet of this version ({reason}): fetch the file again"
        ) from error
    return model.eval(), content.get("provenance", {})


def _config(content: dict[str, Any]) -> NetworkConfig:
    config = yaml_files.build(NetworkConfig, content, "config")
    first, second, third, fourth = config.decoder_channels  # a list, if other tools wrote the file
    return dataclasses.replace(config, decoder_channels=(first, second, third, fourth))


def record_file(path: Path) -> None:
    """Check that a file contains a CV-UNet, then enter it into the manifest beside it."""
    data = manifest.read(path)
    _decode(path, data)
    sha256 = hashlib.sha256(data).hexdigest()
    record(path.with_name(MANIFEST), path.name, sha256, len(data))
    logger.info("%s: recorded with SHA-256 %s", path, sha256)


def main(arguments: list[str]) -> int:
    """Run the command; exit status 0: recorded, 1: could not be recorded."""
    parser = argparse.ArgumentParser(prog="python -m cvunet.weights", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("record", help="enter a weights file into the manifest")
    command.add_argument("file", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    try:
        record_file(options.file)
    except (CvunetError, OSError) as error:
        logger.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    sys.exit(main(sys.argv[1:]))
