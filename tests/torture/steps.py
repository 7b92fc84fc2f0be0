"""Deaths at every step, and random lives, counted for the table."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import seed as seeded
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.system.crash_kit import Scenario, Story, die_everywhere
from tests.system.crash_scenarios import SCENARIOS
from tests.system.reaper import Reaper
from tests.system.state_machine import Machine
from tests.torture.tally import Row


def steps(base: Path, *, seconds: int) -> list[Row]:
    """A row for each kind of life; a story that ends wrong raises, and counts as a loss."""
    with pytest.MonkeyPatch.context() as patch:
        reaper = Reaper(patch)
        return [die(scenario, base, reaper, seconds=seconds) for scenario in SCENARIOS]


def die(scenario: Scenario, base: Path, reaper: Reaper, *, seconds: int) -> Row:
    """All deaths of one kind of life; after each the pictures are counted by content."""
    title = f"dying at every step: {scenario.name}"
    stories: list[Story] = []
    try:
        stories.extend(die_everywhere(scenario, base, reaper, seconds=seconds))
    except AssertionError as error:
        told = " ".join(getattr(error, "__notes__", [str(error)]))
        return Row(f"{title}: {told}", lost=1)
    deaths = Counter(story.deaths for story in stories)
    return Row(
        f"{title} ({deaths[1]} + {deaths[2]} lives)",
        dropped=len(stories) * len(scenario.pictures),
        published=sum(story.published for story in stories),
        quarantined=sum(story.quarantined for story in stories),
    )


def random_lives(*, examples: int, seed: int) -> list[Row]:
    """The state machine; what it cannot explain raises."""
    totals: Counter[str] = Counter()

    class Counted(Machine):
        """Adds up what the examples did."""

        def teardown(self) -> None:
            super().teardown()
            totals.update(self.totals)

    chosen = settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        database=None,
    )
    run_state_machine_as_test(seeded(seed)(Counted), settings=chosen)
    title = f"random lives ({examples}, {totals['deaths']} deaths)"
    return [Row(title, totals["dropped"], totals["published"], totals["quarantined"])]
