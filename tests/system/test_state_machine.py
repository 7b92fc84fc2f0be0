"""Whatever users, crashes and clocks do: every content is in exactly one place."""

import logging
from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.system.state_machine import Machine

EXAMPLES = 15  # `make torture` runs hundreds
STEPS = 25


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What so many lives log is not worth keeping."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_random_lives_keep_every_content_once() -> None:
    """Drops, rewrites, renames, deletions, crashes, clock steps, absence, age: see `Machine`."""
    chosen = settings(
        max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, derandomize=True
    )
    run_state_machine_as_test(Machine, settings=chosen)
