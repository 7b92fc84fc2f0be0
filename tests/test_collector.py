"""The collector of cyclic garbage rests while the program starts."""

import gc
from collections.abc import Iterator

import pytest

from daemon import collector


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    """As other tests find it."""
    yield
    gc.unfreeze()
    gc.set_threshold(*collector.USUAL)


def test_a_start_is_looked_at_rarely_and_never_again():
    """Afterwards collections are as usual, and leave out what the start has made."""
    collector.be_patient()
    patient, frozen = gc.get_threshold(), gc.get_freeze_count()
    collector.settle()

    assert patient[0] > 10 * collector.USUAL[0]
    assert gc.get_threshold() == collector.USUAL
    assert gc.get_freeze_count() > frozen


def test_a_process_that_was_not_patient_stays_as_it_is():
    """Such as one that uses the engine as a library."""
    frozen = gc.get_freeze_count()
    collector.settle()

    assert frozen == gc.get_freeze_count()


def test_garbage_of_later_is_still_collected():
    """Only what there was before is left out."""
    collector.be_patient()
    collector.settle()
    cycle: list[object] = []
    cycle.append(cycle)
    del cycle

    assert gc.collect() >= 1
