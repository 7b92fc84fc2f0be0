"""The learning rate of each step."""

import pytest

from cvunet.training.recipe import Cosine, Phase
from cvunet.training.schedule import learning_rate, rate_at
from tests.training import training_kit


def test_the_rate_falls_by_half_a_cosine() -> None:
    """From start to end, through the middle."""
    phase = Phase(size=64, steps=100, batch=1, rate_start=1.0, rate_end=0.0)

    rates = [learning_rate(phase, step, warmup=1.0) for step in (0, 50, 100)]

    assert rates == pytest.approx([1.0, 0.5, 0.0])


def test_one_cosine_runs_through_all_phases() -> None:
    """The second phase goes on where the first stopped; the first steps are a warm-up."""
    phases = tuple(Phase(size=64, steps=50, batch=1) for _ in range(2))
    recipe = training_kit.recipe(phases=phases, cosine=Cosine(1.0, 0.0), warmup_steps=10)

    rates = [
        rate_at(recipe, phases[step // 50], step=step, position=step % 50) for step in (4, 50, 75)
    ]

    assert rates == pytest.approx([0.5 * 0.99606, 0.5, 0.14645], rel=1e-3)
