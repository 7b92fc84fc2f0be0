"""A run whose checkpoint is lost goes on from its averaged weights."""

import dataclasses
import logging
from pathlib import Path

from cvunet import weights
from cvunet.errors import TrainingError
from cvunet.network.network import CVUNet
from cvunet.training import checkpoints
from cvunet.training import recipe as recipes
from cvunet.training.checkpoints import CHECKPOINT
from cvunet.training.origin import Origin
from cvunet.training.recipe import Recipe

logger = logging.getLogger(__name__)


def from_average(average: Path, folder: Path, *, recipe: Recipe, origin: Origin) -> None:
    """Write a checkpoint of the step at which ``average`` was written, if the folder has none.

    Network and average begin with the averaged weights. The optimiser's memory is lost, so the rate
    is warmed up again. `TrainingError` if the weights are not those of a run of this recipe,
    `WeightsError` as `weights.load`.
    """
    if (folder / CHECKPOINT).exists():
        logger.warning("%s is there and is used; %s is not", folder / CHECKPOINT, average)
        return
    state, step, seconds = read(average, recipe)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = {
        "recipe": recipes.to_fields(recipe),
        "origin": dataclasses.asdict(origin),
        "figures": {},
        "model": state,
        "average": state,
        "optimiser": None,
        "step": step,
        "warmed_from": step,
        "seconds": seconds,
    }
    checkpoints.write(folder, checkpoint)
    logger.info("%s: begun again from %s at step %s", folder / CHECKPOINT, average, step)


def read(average: Path, recipe: Recipe) -> tuple[dict[str, object], int, float]:
    """Parameters in float32, step and seconds of a run's averaged weights."""
    model, provenance = weights.load(average), weights.provenance(average)
    name, step = provenance.get("recipe"), provenance.get("step")
    if name != recipe.name or not isinstance(step, int):
        raise TrainingError(
            f"{average}: its recipe is {name}, not {recipe.name}: give the average.pth of this run"
        )
    if step >= recipe.total_steps:
        raise TrainingError(f"{average}: its run has ended at step {step}; nothing is left to do")
    if shapes(model) != shapes(CVUNet(recipe.network)):
        raise TrainingError(f"{average}: another network than that of the recipe {recipe.name}")
    seconds = provenance.get("seconds")
    return dict(model.state_dict()), step, float(seconds or 0)


def shapes(model: CVUNet) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor, by name."""
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
