"""The share of all deaths that `make test-system` dies; `make torture` dies at every step."""

from pathlib import Path

from tests.system.crash_kit import Scenario, check_deaths
from tests.system.crash_scenarios import ARCHIVE, SCENARIOS
from tests.system.reaper import Reaper

#: Every fifth step: most scenarios take the same steps, each begins with another one of the five.
STRIDE = 5


def check_share(scenario: Scenario, base: Path, reaper: Reaper) -> None:
    """Die at every step of what nearly all users do, else at every fifth one."""
    if scenario is ARCHIVE:
        check_deaths(scenario, base, reaper, seconds=0)
    else:
        begin = SCENARIOS.index(scenario) % STRIDE
        check_deaths(scenario, base, reaper, seconds=0, stride=STRIDE, begin=begin)
