"""Questions to the ledger."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.jobs import Identity, Job, State
from daemon.ledger.ledger import Drop, Ledger
from daemon.ledger.records import Records
from tests.samples import NOW, make_job

DROP = Path("/out/outputs_20270115080000")


class Bench:
    """A ledger with one drop, and short ways to bring jobs into their states."""

    def __init__(self, path: Path) -> None:
        self.ledger = Ledger(path)
        self.records = Records(self.ledger)
        self.drop = self.ledger.open_drop("hot", DROP, now=NOW)

    def add(self, job_id: str, **changes: object) -> Job:
        """A queued job."""
        job = make_job(job_id, **changes)
        self.ledger.add(job)
        return job

    def start(self, job_id: str, **changes: object) -> Job:
        """A running job."""
        return self.ledger.start(self.add(job_id, **changes))

    def finish(self, job_id: str, now: float = NOW, **changes: object) -> None:
        """A job that is done."""
        self.ledger.finish(self.start(job_id, **changes), now=now)

    def fail(self, job_id: str, now: float = NOW, **changes: object) -> None:
        """A failed job."""
        self.ledger.fail(self.start(job_id, **changes), reason=f"reason {job_id}", now=now)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An empty ledger."""
    bench = Bench(tmp_path / "ledger.db")
    yield bench
    bench.ledger.close()


def test_unknown_job(bench: Bench):
    """None, no error."""
    assert bench.records.job("1") is None


def test_jobs_of_a_state(bench: Bench):
    """Those alone, oldest first."""
    bench.start("1", added_at=NOW + 1)
    bench.start("2", added_at=NOW)
    bench.add("3")

    assert [job.id for job in bench.records.in_state(State.RUNNING)] == ["2", "1"]


def test_queued_jobs_are_oldest_first(bench: Bench):
    """With the time before which they must not start."""
    bench.add("1", added_at=NOW + 1)
    job = bench.start("2", added_at=NOW)
    bench.ledger.retry(job, not_before=NOW + 5, reason="x")
    found = [(job.id, not_before) for job, not_before in bench.records.queued()]

    assert found == [("2", NOW + 5), ("1", 0.0)]


def test_known_version(bench: Bench):
    """A kept original of exactly this place and version, however it is mounted."""
    source, version = Path("/hot/a.jpg"), Identity(1, 2, 3, 4)
    bench.ledger.add(make_job("1", source=source, identity=version, is_kept=True))
    found = [
        bench.records.knows_version(version, source),
        bench.records.knows_version(Identity(9, 2, 3, 4), source),
        bench.records.knows_version(version, Path("/hot/b.jpg")),
        bench.records.knows_version(Identity(1, 2, 3, 5), source),
    ]

    assert found == [True, True, False, False]


def test_claimed_version_is_not_known(bench: Bench):
    """Only kept originals are told apart by version."""
    job = bench.add("1")

    assert not bench.records.knows_version(job.identity, job.source)


def test_failed_version_is_known(bench: Bench):
    """A kept original that failed is not tried for ever."""
    source = Path("/hot/a.jpg")
    job = make_job("1", source=source, is_kept=True)
    bench.ledger.add(job)
    bench.ledger.fail(bench.ledger.start(job), reason="x", now=NOW)

    assert bench.records.knows_version(job.identity, source)


@pytest.mark.parametrize("name", ["1.png", "originals/1.jpg"])
@pytest.mark.parametrize("how", ["add", "start", "finish"])
def test_reserved_name(bench: Bench, how: str, name: str):
    """A result's or an original's, of a job that lives or is done."""
    getattr(bench, how)("1")

    assert bench.records.reserved.holder(DROP / name) is not None


@pytest.mark.parametrize("name", ["1.png", "originals/1.jpg"])
def test_name_of_a_failed_job_is_free(bench: Bench, name: str):
    """Nothing will lie there."""
    bench.fail("1")

    assert bench.records.reserved.holder(DROP / name) is None


@pytest.mark.parametrize(
    "name", ["ONE.PNG", "one_ALPHA.png", "Review/One.png", "Originals/one.JPG"]
)
def test_name_in_another_spelling(bench: Bench, name: str):
    """SMB and macOS take it for the same; what holds it is named in its own spelling."""
    places = {"target": "One.png", "alpha": "One_alpha.png", "archive": "originals/One.jpg"}
    job = make_job("1", **{column: DROP / place for column, place in places.items()})
    bench.ledger.add(job)
    bench.ledger.note_review(bench.ledger.start(job), DROP / "review/One.png")

    holder = bench.records.reserved.holder(DROP / name)
    assert holder is not None
    assert str(holder).lower() == str(DROP / name).lower()
    assert not bench.records.used.holder(DROP / name)


def test_folder_in_another_spelling(bench: Bench):
    """Also while it is not made yet; in its own spelling it may be used."""
    bench.ledger.add(make_job("1", target=DROP / "Sub/a.png", archive=DROP / "originals/Sub/a.jpg"))
    blocks = bench.records.reserved.blocks_folder
    names = ("Sub", "sub", "Su", "Sub/a.png", "originals/Sub", "originals/SUB", "originals")

    assert [name for name in names if blocks(DROP / name)] == ["sub", "Sub/a.png", "originals/SUB"]


def test_open_drops(bench: Bench):
    """In the order in which they were opened."""
    second = bench.ledger.open_drop("hot", Path("/out/2"), now=NOW)
    third = bench.ledger.open_drop("hot", Path("/out/3"), now=NOW)
    bench.ledger.close_drop(second, now=NOW)

    assert [bench.drop, third] == bench.records.open_drops()


def test_drop_at_a_place(bench: Bench):
    """Open or closed."""
    bench.ledger.close_drop(bench.drop, now=NOW)

    assert bench.drop == bench.records.drop_at(DROP)
    assert bench.records.drop_at(Path("/out/unknown")) is None


def test_drop_of_a_job(bench: Bench):
    """Its own, of several."""
    second = bench.ledger.open_drop("hot", Path("/out/2"), now=NOW)
    job = make_job(drop=second.id)

    assert bench.records.drop_of(job).path == Path("/out/2")


def test_size_of_a_drop(bench: Bench):
    """All that were ever put into it, in any state."""
    bench.add("1")
    bench.start("2")
    bench.finish("3")
    bench.fail("4")
    second = bench.ledger.open_drop("hot", Path("/out/2"), now=NOW)

    assert (bench.records.drop_size(bench.drop), bench.records.drop_size(second)) == (4, 0)


@pytest.mark.parametrize(
    ("how", "expected"), [("add", True), ("start", True), ("finish", False), ("fail", False)]
)
def test_open_jobs(bench: Bench, how: str, expected: bool):
    """Queued or running."""
    getattr(bench, how)("1")

    assert expected is bench.records.has_open_jobs(bench.drop)


def test_open_jobs_of_another_drop_do_not_count(bench: Bench):
    """Each drop closes for itself."""
    second = bench.ledger.open_drop("hot", Path("/out/2"), now=NOW)
    bench.add("1", drop=second.id)

    assert not bench.records.has_open_jobs(bench.drop)


def test_endings_of_a_drop(bench: Bench):
    """In the order in which they ended."""
    bench.finish("1", now=NOW + 2)
    bench.fail("2", now=NOW + 1)
    bench.add("3")
    second = bench.ledger.open_drop("hot", Path("/out/2"), now=NOW)
    bench.finish("4", drop=second.id)

    assert [ending.job.id for ending in bench.records.endings(bench.drop)] == ["2", "1"]


def test_last_failures(bench: Bench):
    """Newest first, no more than asked for."""
    for number in "123":
        bench.fail(number, now=NOW + int(number))
    bench.finish("4", now=NOW + 9)

    assert [ending.job.id for ending in bench.records.last_failures(2)] == ["3", "2"]


def test_counts(bench: Bench):
    """By folder and state; what there is none of is left out."""
    bench.add("1")
    bench.add("2")
    bench.finish("3")
    bench.fail("4", folder="scans")

    expected = {"hot": {"queued": 2, "done": 1}, "scans": {"failed": 1}}
    assert expected == bench.records.counts()


def test_counts_of_an_empty_ledger(bench: Bench):
    """Nothing at all."""
    assert bench.records.counts() == {}


def test_drop_of_the_ledger_is_a_value(bench: Bench):
    """Two readings are equal."""
    assert Drop(1, "hot", DROP, NOW, NOW) == bench.records.open_drops()[0]
