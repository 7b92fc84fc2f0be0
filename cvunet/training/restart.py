"""A run whose checkpoint is lost goes on from its averaged weights."""

import logging
from pathlib import Path

from cvunet import weights
from cvunet.errors import TrainingError
from cvunet.training.checkpoints import CHECKPOINT
from cvunet.training.loop import Trainer

logger = logging.getLogger(__name__)


def from_average(trainer: Trainer, average: Path) -> None:
    """Go on at the step at which ``average`` was written, if the run has no checkpoint.

    Network and average begin with the averaged weights. The optimiser's memory is lost, so the rate
    is warmed up again. `TrainingError` if the weights are not those of a run of this recipe,
    `WeightsError` as `weights.load`.
    """
    checkpoint = trainer.folder / CHECKPOINT
    if checkpoint.exists():
        logger.warning("%s is there and is used; %s is not", checkpoint, average)
        return
    model, provenance = weights.load_with_provenance(average)
    recipe, name, step = trainer.recipe, provenance.get("recipe"), provenance.get("step")
    if name != recipe.name or not isinstance(step, int):
        raise TrainingError(
            f"{average}: its recipe is {name}, not {recipe.name}: give the average.pth of this run"
        )
    if step >= recipe.total_steps:
        raise TrainingError(f"{average}: its run has ended at step {step}; nothing is left to do")
    if weights.shapes(model) != weights.shapes(trainer.model):
        raise TrainingError(f"{average}: another network than that of the recipe {recipe.name}")
    for own in (trainer.model, trainer.average.model):
        own.load_state_dict(model.state_dict())
    trainer.step = trainer.warmed_from = step
    trainer.seconds = float(provenance.get("seconds") or 0)
    logger.info("%s: goes on from %s at step %s", trainer.folder, average, step)
