"""The other half of the scenarios of `test_crash.py`: results, and what clients ask for."""

from pathlib import Path

import pytest

from tests.system.crash_kit import Scenario
from tests.system.crash_scenarios import OF_RESULTS
from tests.system.crash_share import check_share
from tests.system.reaper import Reaper


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("scenario", OF_RESULTS, ids=lambda scenario: scenario.name)
def test_a_death_at_any_step_loses_and_repeats_nothing(
    base: Path, reaper: Reaper, scenario: Scenario
) -> None:
    """Whatever was being done."""
    check_share(scenario, base, reaper)
