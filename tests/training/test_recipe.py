"""The recipe of the long run."""

from pathlib import Path

from cvunet.training import recipe
from cvunet.training.recipe import Mixture

LONG = Path(__file__).parents[2] / "models/recipes/long.yaml"


def test_the_long_recipe_is_what_was_decided() -> None:
    """At least 300,000 samples, a seventh of them with the refinement, in batches of 16."""
    chosen = recipe.load(LONG)
    trunk, whole = chosen.phases

    assert sum(phase.steps * phase.batch for phase in chosen.phases) >= 300_000
    assert 0.14 < whole.steps / chosen.total_steps < 0.16
    assert (trunk.is_trunk_only, whole.is_trunk_only) == (True, False)
    assert (min(trunk.sizes), max(trunk.sizes), whole.size) == (224, 384, 512)
    assert chosen.mixture == Mixture(0.6, 0.15, 0.23, 0.02)
    assert chosen.cosine is not None
    assert all(side % 32 == 0 for side in trunk.sizes)


def test_procedural_foregrounds_are_few() -> None:
    """At most a quarter of composites; glass, smoke and lace at most 2 % of all samples."""
    chosen = recipe.load(LONG)
    pictures = {"ikea_products": 1074, "ccp_people": 931, "procedural": 34}  # the least there are
    shares = {name: chosen.foreground_weights[name] * n for name, n in pictures.items()}

    procedural = shares["procedural"] / sum(shares.values())

    assert procedural <= 0.25
    clear, two_foregrounds = 11 / 34, 1.15
    assert procedural * clear * two_foregrounds * chosen.mixture.composite <= 0.02
