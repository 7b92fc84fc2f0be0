"""`python -m cvunet.training.export RUN FILE`: a run's averaged weights as a file to ship."""

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

import torch

from cvunet import weights
from cvunet.errors import CvunetError, TrainingError
from cvunet.network import CVUNet, NetworkConfig
from cvunet.training.loop import CHECKPOINT

MANIFEST = "manifest.yaml"


def read_checkpoint(path: Path) -> dict[str, Any]:  # Any: what the training loop wrote
    """A run's state; `TrainingError` if there is none."""
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    except (OSError, RuntimeError) as error:
        raise TrainingError(f"{path}: cannot be read ({error}); train first") from error
    return state


def provenance(state: dict[str, Any]) -> dict[str, Any]:  # Any: plain values
    """Where the weights come from: recipe, data by hash, code, time and the last figures."""
    return {
        "recipe": state["recipe"],
        "step": state["step"],
        "seconds": round(state["seconds"]),
        **state["origin"],
        "figures": state["figures"],
    }


def export(run: Path, file: Path) -> str:
    """Write the weights and enter them in the manifest beside them; their sha256."""
    state = read_checkpoint(run / CHECKPOINT)
    numbers = dict(state["recipe"]["network"])
    numbers["decoder_channels"] = tuple(numbers["decoder_channels"])
    config = NetworkConfig(**numbers)
    model = CVUNet(config)
    model.load_state_dict(state["average"])
    digest = weights.save(file, model, config=config, provenance=provenance(state))
    weights.record(file.with_name(MANIFEST), file.name, digest, file.stat().st_size)
    return digest


def main() -> int:
    """Exit status: 0 written, 1 could not."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(prog="python -m cvunet.training.export", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a run, with its checkpoint")
    parser.add_argument("file", type=Path, help="weights file to write")
    options = parser.parse_args()
    try:
        digest = export(options.run, options.file)
    except CvunetError as error:
        logging.getLogger(__name__).error("%s", error)
        return 1
    logging.getLogger(__name__).info("%s sha256 %s", options.file, digest)
    return 0


if __name__ == "__main__":
    sys.exit(main())
