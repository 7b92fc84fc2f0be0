"""What a run begins with: a trained encoder, weights, or an earlier run's files."""

import logging
import pickle
from pathlib import Path
from typing import Any

import torch

from cvunet import weights
from cvunet.errors import TrainingError
from cvunet.network.network import CVUNet
from cvunet.training import backbone, normalise, samples, shards, validation
from cvunet.training.gpu.learning import Learner
from cvunet.training.recipe import Recipe
from cvunet.training.samples import Sources

logger = logging.getLogger(__name__)

BACKBONE = "backbone"
CALIBRATION_PHOTOS = 200
STATE, MOMENTS = "state.pt", "moments.pt"


def check(start: str, recipe: Recipe, data: Path) -> None:
    """`TrainingError` if a file that the start needs is missing."""
    begin, needed = recipe.start, []
    if start == BACKBONE or (not start and (begin is None or begin.is_partial)):
        needed.append(data / backbone.FILE)
    if not start and begin is not None:
        needed.append(Path(begin.file))
    elif start not in ("", BACKBONE):
        needed.append(Path(start))
    for path in needed:
        if not path.is_file():
            raise TrainingError(f"{path}: the run starts from this file, and it is not there")


def network(
    start: str, recipe: Recipe, *, data: Path, sources: Sources, device: torch.device
) -> CVUNet:
    """The network before its first step, on the device.

    ``start``: a weights file, "backbone" for a trained encoder alone, or empty for the recipe's.
    Weights of the same network are loaded as they are, of another one what fits.
    """
    model = CVUNet(recipe.network).to(device)
    begin = recipe.start
    if start == BACKBONE or (not start and begin is None):
        backbone.load(model.encoder, data / backbone.FILE)
        calibrate(model, sources, device)
        return model
    path = Path(start or (begin.file if begin else ""))
    digest = shards.sha256(path)
    if not start and begin and begin.sha256 != digest:
        raise TrainingError(f"{path}: SHA-256 is {digest}, the recipe starts from {begin.sha256}")
    found = weights.load(path, sha256=digest)
    try:
        model.load_state_dict(found.state_dict())
    except RuntimeError:
        rest = backbone.take_what_fits(model, path, sha256=digest)
        logger.warning("%s: another network; %s tensors start untrained", path, len(rest))
        backbone.load_expansion(model.encoder, data / backbone.FILE)
        calibrate(model, sources, device)
    return model


def calibrate(model: CVUNet, sources: Sources, device: torch.device) -> None:
    """Measure the encoder's norms on training photos; those that cannot be decoded are left out."""
    good = samples.Sources(
        salient=readable(sources.salient),
        people=readable(sources.people),
        foregrounds={},
        backgrounds=[],
    )
    images = validation.images(good, CALIBRATION_PHOTOS)
    normalise.calibrate(model.encoder, (image.to(device) for image in images))


def readable(photos: list[samples.Photo]) -> list[samples.Photo]:
    """Photos from all over the list that can be decoded."""
    found = []
    for photo in validation.spread(photos, CALIBRATION_PHOTOS):
        try:
            samples.load_photo(photo)
        except shards.BadMember:
            continue
        found.append(photo)
    return found


def read(path: Path) -> dict[str, Any]:  # Any: tensors and plain values
    """A file of a run; `TrainingError` if it cannot be read."""
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise TrainingError(f"{path}: cannot be read ({error}); begin with --start") from error
    return state


def resume(learner: Learner, folder: Path) -> tuple[int, float]:
    """Load an earlier run's files; its next batch, and the share of its schedule that was done.

    Without the optimiser's memory of the same step the optimiser begins anew, with a warning.
    """
    state = read(folder / STATE)
    if not all(one.isfinite().all() for one in state["model"].values() if one.is_floating_point()):
        raise TrainingError(f"{folder / STATE}: holds weights that are no numbers: begin anew")
    try:
        learner.model.load_state_dict(state["model"])
        average = weights.load(folder / "average.pth").state_dict()
        learner.average.model.load_state_dict(average)
    except (RuntimeError, KeyError) as error:
        raise TrainingError(f"{folder}: does not fit the recipe's network: {error}") from error
    learner.step = int(state["step"])
    moments = read(folder / MOMENTS) if (folder / MOMENTS).exists() else {"step": -1}
    if moments["step"] == learner.step:
        remember(learner, moments)
    else:
        logger.warning("%s: of another step; the optimiser begins anew", folder / MOMENTS)
    share = float(state["share"])
    return int(state["batch"]), share if share < 1 else 0.0


def remember(learner: Learner, moments: dict[str, Any]) -> None:  # Any: as `read`
    """Put means and squares into the optimiser."""
    device = learner.device
    for name, parameter in learner.model.named_parameters():
        if name not in moments["means"]:
            continue
        step = torch.tensor(float(moments["steps"][name]))
        learner.optimiser.state[parameter] = {
            "step": step.to(device) if learner.is_recorded else step,
            "exp_avg": like(moments["means"][name], parameter),
            "exp_avg_sq": like(moments["squares"][name], parameter),
        }


def like(kept: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """The tensor with the parameter's device, type and layout."""
    return torch.empty_like(parameter).copy_(kept)
