"""`python -m cvunet.training.export RUN FILE`: a run's averaged weights as a file to ship.

Between what a run started from and what it became there often lie better weights than both
(Model soups, Wortsman et al. 2022, arXiv:2203.05482; robust fine-tuning, arXiv:2109.01903): the
mean, taken parameter by parameter, with ``--mean-with``; the run's ``--share`` in it is a half.
"""

import argparse
import dataclasses
import hashlib
import logging
import sys
from pathlib import Path
from typing import Any

import torch

from cvunet import weights
from cvunet.errors import CvunetError, TrainingError
from cvunet.network.network import CVUNet, NetworkConfig
from cvunet.training.checkpoints import CHECKPOINT


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


@torch.no_grad()
def mix(model: CVUNet, other: CVUNet, *, share: float) -> None:
    """Put the mean of both into ``model``, which has a ``share`` of 0..1 in it.

    `TrainingError` if they are two kinds of networks.
    """
    if weights.shapes(other) != weights.shapes(model):
        raise TrainingError("the weights to take the mean with are of another network")
    theirs = other.state_dict()
    for name, value in model.state_dict().items():
        if value.is_floating_point():  # counters stay the run's
            value.lerp_(theirs[name], 1 - share)


def trunk_of(model: CVUNet, config: NetworkConfig) -> CVUNet:
    """The same weights without a refinement, as ``config`` says."""
    trunk = CVUNet(config)
    kept = trunk.state_dict().keys()
    trunk.load_state_dict({name: one for name, one in model.state_dict().items() if name in kept})
    return trunk


def export(
    run: Path,
    file: Path,
    *,
    mean_with: Path | None = None,
    share: float = 0.5,
    trunk_scale: float | None = None,
    is_refined: bool = True,
) -> str:
    """Write the weights and enter them in the manifest beside them; their sha256.

    ``trunk_scale`` is that which the weights will be run at, if not the run's own: how large a copy
    the trunk sees changes none of its parameters. Unless ``is_refined``, the refinement is left
    out.
    """
    state = read_checkpoint(run / CHECKPOINT)
    numbers = dict(state["recipe"]["network"])
    numbers["decoder_channels"] = tuple(numbers["decoder_channels"])
    config = NetworkConfig(**numbers)
    if trunk_scale is not None:
        config = dataclasses.replace(config, trunk_scale=trunk_scale)
    model = CVUNet(config)
    model.load_state_dict(state["average"])
    known = provenance(state)
    if mean_with is not None:
        mix(model, weights.load(mean_with), share=share)
        known["share"] = share
        known["mean_with"] = hashlib.sha256(mean_with.read_bytes()).hexdigest()
    if not is_refined:
        config = dataclasses.replace(config, refine_channels=0)
        model = trunk_of(model, config)
    digest = weights.save(file, model, config=config, provenance=known)
    weights.record(file.with_name(weights.MANIFEST), file.name, digest, file.stat().st_size)
    return digest


def main() -> int:
    """Exit status: 0 written, 1 could not."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(prog="python -m cvunet.training.export", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a run, with its checkpoint")
    parser.add_argument("file", type=Path, help="weights file to write")
    parser.add_argument("--mean-with", type=Path, help="weights file to take the mean with")
    parser.add_argument("--share", type=float, default=0.5, help="of the run in that mean, 0 to 1")
    parser.add_argument("--trunk-scale", type=float, help="the trunk's side over the input's")
    parser.add_argument(
        "--without-refinement", action="store_true", help="leave it out, if it changes nothing"
    )
    options = parser.parse_args()
    try:
        digest = export(
            options.run,
            options.file,
            mean_with=options.mean_with,
            share=options.share,
            trunk_scale=options.trunk_scale,
            is_refined=not options.without_refinement,
        )
    except CvunetError as error:
        logging.getLogger(__name__).error("%s", error)
        return 1
    logging.getLogger(__name__).info("%s sha256 %s", options.file, digest)
    return 0


if __name__ == "__main__":
    sys.exit(main())
