"""The one drop of a batch."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.disk import store
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.lifecycle.drops import FixedDrop
from tests.samples import NOW, make_folder, make_job, names_in


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger."""
    ledger = Ledger(tmp_path / "ledger.db")
    yield ledger
    ledger.close()


def test_batch_has_one_drop(tmp_path: Path, ledger: Ledger):
    """Whatever the time; its folder is made."""
    fixed = FixedDrop(tmp_path / "out", ledger=ledger, records=Records(ledger), now=NOW)
    places = [fixed.place(make_folder(tmp_path), now=NOW + wait).path for wait in (0, 1e6)]

    assert [tmp_path / "out", tmp_path / "out"] == places
    assert (tmp_path / "out").is_dir()


def test_batch_goes_on_in_its_drop(tmp_path: Path, ledger: Ledger):
    """The second run knows what the first has done."""
    records = Records(ledger)
    first = FixedDrop(tmp_path / "out", ledger=ledger, records=records, now=NOW)
    second = FixedDrop(tmp_path / "out", ledger=ledger, records=records, now=NOW + 1)

    assert first.drop == second.drop


def test_batch_writes_its_manifest(tmp_path: Path, ledger: Ledger):
    """And its drop never closes."""
    records = Records(ledger)
    fixed = FixedDrop(tmp_path / "out", ledger=ledger, records=records, now=NOW)
    job = make_job(target=fixed.drop.path / "1.png", archive=None)
    ledger.add(job)
    ledger.finish(ledger.start(job), now=NOW)
    fixed.touch(fixed.drop.id)
    fixed.upkeep(now=NOW + 1e6)
    content = json.loads((fixed.drop.path / store.MANIFEST).read_text())

    assert (len(content["pictures"]), content["closed_at"]) == (1, None)
    assert [fixed.drop] == records.open_drops()


def test_batch_mends_the_manifest_of_a_killed_run(tmp_path: Path, ledger: Ledger):
    """Though nothing new has ended."""
    fixed = FixedDrop(tmp_path / "out", ledger=ledger, records=Records(ledger), now=NOW)
    fixed.upkeep(now=NOW + 1)

    assert names_in(tmp_path / "out") == [store.MANIFEST]


def test_batch_drop_is_never_deleted(tmp_path: Path, ledger: Ledger):
    """It is the user's folder: it has no mark."""
    FixedDrop(tmp_path / "out", ledger=ledger, records=Records(ledger), now=NOW)

    assert names_in(tmp_path / "out") == []
