"""The learning rate of each step."""

import math

from cvunet.training.recipe import Phase, Recipe


def half_cosine(step: int, steps: int) -> float:
    """Fall from 1 at step 0 to 0 at the last."""
    return 0.5 * (1 + math.cos(math.pi * step / max(steps, 1)))


def learning_rate(phase: Phase, step: int, *, warmup: float) -> float:
    """Half a cosine from the phase's start to its end, times the warm-up factor in [0, 1]."""
    fall = half_cosine(step, phase.steps)
    return warmup * (phase.rate_end + (phase.rate_start - phase.rate_end) * fall)


def rate_at(
    recipe: Recipe, phase: Phase, *, step: int, position: int, warmed_from: int = 0
) -> float:
    """Rate of the run's ``step``, which is number ``position`` of its phase.

    The warm-up begins at ``warmed_from``, where the optimiser's memory was empty.
    """
    warmup = min(1.0, (step - warmed_from + 1) / max(recipe.warmup_steps, 1))
    cosine = recipe.cosine
    if cosine is None:
        return learning_rate(phase, position, warmup=warmup)
    fall = half_cosine(step, recipe.total_steps)
    return warmup * (cosine.rate_end + (cosine.rate_start - cosine.rate_end) * fall)


def decay_at(recipe: Recipe, phase: Phase) -> float:
    """Decay of the average: over a tenth of a phase at most, to not lag in a short phase."""
    return min(recipe.ema_decay, 1 - 10 / max(phase.steps, 11))
