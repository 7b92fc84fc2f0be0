"""What the ledger knows of uploads: notes come back as they were, the newest row counts."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.jobs import Done, Identity, Job, State, Upload
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.ledger.uploads import Uploads
from daemon.renderings import Framing
from tests.samples import NOW, RENDERING, finish, make_job

ID = "0" * 22


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger with one drop."""
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.open_drop("web", Path("/out/outputs_20270115080000"), now=NOW)
    yield ledger
    ledger.close()


@pytest.mark.parametrize(
    "upload",
    [
        Upload(ID),
        Upload(ID, fault="nonsense"),
        Upload(ID, RENDERING, sha256="ab"),
        Upload(ID, replace(RENDERING, background=(1, 2, 3), max_result_pixels=5)),
        Upload(ID, replace(RENDERING, background=Path("/pictures/\udcff.png"))),
        Upload(ID, replace(RENDERING, framing=Framing(canvas=(20, 30), aspect=2 / 3))),
    ],
)
def test_an_upload_comes_back_as_it_was(ledger: Ledger, upload: Upload):
    """With tuples, paths of any bytes, and faults."""
    ledger.add(make_job(upload=upload))

    found = Records(ledger).job("1")

    assert found is not None
    assert found.upload == upload


def test_the_newest_row_of_an_upload_counts(ledger: Ledger):
    """It has one for each time it was tried."""
    first = make_job("1", upload=Upload(ID))
    second = make_job("2", upload=Upload(ID), added_at=NOW + 1)
    ledger.add(first)
    ledger.add(second)
    uploads = Uploads(ledger)
    newest = uploads.newest(ID)

    assert newest is not None
    assert newest.job.id == "2"
    assert [job.id for job in uploads.rows(ID)] == ["2", "1"]
    assert (uploads.has(ID), uploads.has("1" * 22)) == (True, False)
    assert (uploads.count_before(second), uploads.count_queued()) == (1, 2)


def test_a_person_rejects_a_result(ledger: Ledger):
    """done -> failed, from no other state; its names are free again."""
    ledger.add(make_job())
    with pytest.raises(AssertionError):
        ledger.disapprove(make_job(), reason="bad", now=NOW)
    job = done(ledger, make_job())
    ledger.disapprove(job, reason="bad", now=NOW + 5)
    found = Records(ledger).job("1")

    assert found is not None
    assert (found.state, found.reason, found.stamps) == (State.FAILED, "bad", ())
    assert Records(ledger).reserved.holder(job.target) is None


def done(ledger: Ledger, job: Job) -> Job:
    """A job that has come out."""
    finish(ledger, ledger.start(job), Done(Identity(1, 2, 3, 4), 4, 3, {}), now=NOW)
    found = Records(ledger).job(job.id)
    assert found is not None
    return found


def test_what_ended_since(ledger: Ledger):
    """Open rows always; ended ones after a moment."""
    ledger.add(make_job("1"))
    done(ledger, make_job("1"))
    ledger.add(make_job("2"))
    uploads = Uploads(ledger)

    assert {one.job.id for one in uploads.open_and_ended(0.0)} == {"1", "2"}
    assert {one.job.id for one in uploads.open_and_ended(NOW * 2)} == {"2"}
