"""The ledger as a file: names that are reserved, drops, versions, damage."""

import os
import random
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from daemon.errors import InstallError, LedgerError
from daemon.jobs import Identity, State
from daemon.ledger import database
from daemon.ledger.ledger import SCRIPTS, VERSION, Drop, Ledger
from daemon.ledger.records import Records
from tests.samples import NOW, make_job

DROP = Path("/out/outputs_20270115080000")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger with one open drop, whose id is 1."""
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.open_drop("hot", DROP, now=NOW)
    yield ledger
    ledger.close()


@pytest.fixture
def records(ledger: Ledger) -> Records:
    """What the ledger says."""
    return Records(ledger)


# --- reserved names ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["target", "archive"])
def test_name_belongs_to_one_job(ledger: Ledger, name: str):
    """Two jobs can never write one file."""
    path = DROP / "same"
    ledger.add(make_job("1", **{name: path}))

    with pytest.raises(sqlite3.IntegrityError):
        ledger.add(make_job("2", **{name: path}))


@pytest.mark.parametrize("name", ["target", "archive"])
def test_finished_job_keeps_its_name(ledger: Ledger, name: str):
    """Its file lies there."""
    path = DROP / "same"
    ledger.add(make_job("1", **{name: path}))
    ledger.finish(ledger.start(make_job("1")), now=NOW)

    with pytest.raises(sqlite3.IntegrityError):
        ledger.add(make_job("2", **{name: path}))


@pytest.mark.parametrize("name", ["target", "archive"])
def test_failed_job_frees_its_name(ledger: Ledger, records: Records, name: str):
    """Nothing lies there."""
    path = DROP / "same"
    ledger.add(make_job("1", **{name: path}))
    ledger.fail(ledger.start(make_job("1")), reason="x", now=NOW)
    ledger.add(make_job("2", **{name: path}))

    assert len(records.queued()) == 1


def test_jobs_without_an_archive_do_not_clash(ledger: Ledger, records: Records):
    """No name is no reservation."""
    for job_id in "12":
        ledger.add(make_job(job_id, archive=None))

    assert len(records.queued()) == 2


@pytest.mark.parametrize("device", [1, 9])
def test_kept_version_is_taken_once(ledger: Ledger, device: int):
    """The same original must not be cut out for ever; a device's number changes at each mount."""
    kept = {"source": Path("/hot/a.jpg"), "is_kept": True}
    ledger.add(make_job("1", **kept))

    with pytest.raises(sqlite3.IntegrityError):
        ledger.add(make_job("2", identity=Identity(device, 2, 3, 4), **kept))


@pytest.mark.parametrize(
    "changes",
    [{"identity": Identity(1, 2, 3, 5)}, {"source": Path("/hot/b.jpg")}],
)
def test_other_version_or_place_is_another_picture(
    ledger: Ledger, records: Records, changes: dict[str, object]
):
    """Changed, or linked elsewhere."""
    ledger.add(make_job("1", source=Path("/hot/a.jpg"), is_kept=True))
    ledger.add(make_job("2", **{"source": Path("/hot/a.jpg"), "is_kept": True} | changes))

    assert len(records.queued()) == 2


def test_claimed_versions_do_not_clash(ledger: Ledger, records: Records):
    """An inode is used again when its file has gone."""
    for job_id in "12":
        ledger.add(make_job(job_id, source=Path("/hot/a.jpg")))

    assert len(records.queued()) == 2


def test_names_may_be_any_bytes(ledger: Ledger, records: Records):
    """Not text, not one line."""
    odd = os.fsdecode(b"\xff\n'\".jpg")
    job = make_job(relative=Path(odd), source=Path("/hot") / odd, target=DROP / odd)
    ledger.add(job)

    assert records.job("1") == job


# --- drops -------------------------------------------------------------------------------------


def test_opened_drop(ledger: Ledger, records: Records):
    """The value is the row."""
    drop = ledger.open_drop("scans", Path(os.fsdecode(b"/out/\xff")), now=NOW)

    assert records.open_drops()[-1] == drop
    assert Drop(2, "scans", Path(os.fsdecode(b"/out/\xff")), NOW, NOW) == drop


def test_added_job_keeps_its_drop_young(ledger: Ledger, records: Records):
    """The drop closes after a while without a new picture."""
    ledger.add(make_job(added_at=NOW + 7))

    assert records.open_drops()[0].last_at == NOW + 7


def test_drop_needs_a_folder_of_its_own(ledger: Ledger):
    """Two rows of one folder would both be deleted by one sweep."""
    with pytest.raises(sqlite3.IntegrityError):
        ledger.open_drop("hot", DROP, now=NOW)


def test_deleted_drop_is_forgotten(ledger: Ledger, records: Records):
    """With its jobs."""
    ledger.add(make_job())
    ledger.finish(ledger.start(make_job()), now=NOW)
    ledger.forget_drop(DROP)

    assert (records.job("1"), records.drop_at(DROP)) == (None, None)


def test_other_drops_are_remembered(ledger: Ledger, records: Records):
    """With their jobs."""
    other = ledger.open_drop("hot", Path("/out/other"), now=NOW)
    ledger.add(make_job(drop=other.id))
    ledger.forget_drop(DROP)

    assert records.job("1") is not None
    assert records.drop_at(other.path) == other


def test_kept_originals_are_remembered(ledger: Ledger, records: Records):
    """They still lie in the hot folder, and would be cut out again."""
    ledger.add(make_job("1", source=Path("/hot/1.jpg"), is_kept=True))
    ledger.add(make_job("2"))
    ledger.fail(ledger.start(make_job("2")), reason="x", now=NOW)
    ledger.forget_drop(DROP)

    assert records.knows_version(make_job().identity, Path("/hot/1.jpg"))
    assert records.job("2") is None


def test_unknown_drop_is_nothing_to_forget(ledger: Ledger, records: Records):
    """A drop of a ledger that was lost."""
    ledger.forget_drop(Path("/out/unknown"))

    assert len(records.open_drops()) == 1


# --- the file ----------------------------------------------------------------------------------


def test_every_commit_reaches_the_disk(ledger: Ledger):
    """A power cut must not forget what has been renamed."""
    settings = [
        ledger.db.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "user_version")
    ]

    assert settings == ["wal", 2, 1, VERSION]


def test_opening_again_changes_nothing(ledger: Ledger, tmp_path: Path):
    """The schema is made once."""
    ledger.add(make_job())
    later = Ledger(tmp_path / "ledger.db")
    found = Records(later).job("1")
    later.close()

    assert make_job() == found


@pytest.mark.parametrize("is_read_only", [False, True])
def test_newer_version_is_refused(tmp_path: Path, is_read_only: bool):
    """A downgrade must not write into what it does not know."""
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()

    with pytest.raises(InstallError, match=r"ledger\.db: written by a newer cvunetd .* upgrade"):
        Ledger(tmp_path / "ledger.db", is_read_only=is_read_only)


@pytest.mark.parametrize("is_read_only", [False, True])
def test_file_that_is_no_ledger_is_told(tmp_path: Path, is_read_only: bool):
    """With what to do, not with a traceback."""
    (tmp_path / "ledger.db").write_bytes(b"no database" * 1000)

    with pytest.raises(InstallError, match=r"ledger\.db: file is not a database: move it"):
        Ledger(tmp_path / "ledger.db", is_read_only=is_read_only)


def test_passing_trouble_is_not_a_persons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Another process writes just now: no reason to stay down, so not exit status 78."""
    monkeypatch.setattr("daemon.ledger.database.BUSY_S", 0.0)
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")

    with pytest.raises(LedgerError, match="locked"):
        Ledger(tmp_path / "ledger.db")
    other.close()


def test_read_only_does_not_make_a_file(tmp_path: Path):
    """`status` looks and leaves no trace."""
    with pytest.raises(InstallError, match=r"ledger\.db: unable to open .*: check that it may be"):
        Ledger(tmp_path / "ledger.db", is_read_only=True)
    assert not (tmp_path / "ledger.db").exists()


def test_read_only_reads(ledger: Ledger, tmp_path: Path):
    """While the daemon writes; also below a folder whose name means something in an address."""
    ledger.add(make_job())
    reader = Ledger(tmp_path / "ledger.db", is_read_only=True)
    found = Records(reader).job("1")
    reader.close()

    assert make_job() == found


def test_read_only_cannot_write(ledger: Ledger, tmp_path: Path):
    """The system refuses, not our good will."""
    reader = Ledger(tmp_path / "ledger.db", is_read_only=True)
    with pytest.raises(LedgerError, match="readonly"):
        reader.add(make_job())
    reader.close()

    assert Records(ledger).job("1") is None


def test_odd_folder_is_no_part_of_the_address(tmp_path: Path):
    """Question marks and number signs are names here."""
    folder = tmp_path / "a?b#c%20d"
    folder.mkdir()
    Ledger(folder / "ledger.db").close()
    reader = Ledger(folder / "ledger.db", is_read_only=True)
    drops = Records(reader).open_drops()
    reader.close()

    assert drops == []


def test_a_file_of_the_first_version_is_brought_up_to_date(tmp_path: Path):
    """Its rows stay; what they did not know is empty."""
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(SCRIPTS[0].read_text() + "PRAGMA user_version = 1;")
        db.execute("INSERT INTO drops VALUES (1, 'hot', CAST('/out' AS BLOB), 0, 0, NULL)")
        db.execute(
            "INSERT INTO jobs (id, folder, state, relative, source, target, drop_id, device, inode,"
            " size, mtime_ns, is_kept, found_by, added_at, changed_at) VALUES ('1', 'hot', 'done',"
            " CAST('a.jpg' AS BLOB), CAST('/a.jpg' AS BLOB), CAST('/out/a.png' AS BLOB), 1, 1,"
            " 2, 3, 4, 0, 'event', 0, 0)"
        )
        db.commit()

    with pytest.raises(InstallError, match="start the daemon"):
        Ledger(path, is_read_only=True)
    with closing(Ledger(path)) as ledger:
        job = Records(ledger).job("1")

    assert job is not None
    assert (job.target, job.alpha, job.review, job.stamps) == (Path("/out/a.png"), None, None, ())
    with closing(Ledger(path, is_read_only=True)) as ledger:
        assert Records(ledger).job("1") == job


def test_names_of_the_fourth_version_get_keys(tmp_path: Path):
    """Names that differ only in case were possible: the oldest one holds the key for both."""
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as db:
        scripts = "".join(script.read_text() for script in SCRIPTS[:4])
        db.executescript(f"{scripts} PRAGMA user_version = 4;")
        db.execute("INSERT INTO drops VALUES (1, 'hot', CAST('/out' AS BLOB), 0, 0, NULL)")
        for number, (state, name) in enumerate(
            [("failed", "Cat"), ("done", "CAT"), ("queued", "cat"), ("done", "Caf\u00e9")]
        ):
            db.execute(
                "INSERT INTO jobs (id, folder, state, relative, source, target, alpha, review,"
                " archive, drop_id, device, inode, size, mtime_ns, is_kept, found_by, added_at,"
                " changed_at) VALUES (?, 'hot', ?, x'61', x'61', CAST(? AS BLOB),"
                " CAST(? AS BLOB), CAST(? AS BLOB), CAST(? AS BLOB), 1, 1, 2, 3, 4, 0, 'event', 0,"
                " 0)",
                (
                    str(number),
                    state,
                    *(f"/out/{place}{name}.png" for place in ("", "a_", "r/", "o/")),
                ),
            )
        db.commit()

    with closing(Ledger(path)) as ledger:
        records = Records(ledger)
        holders = [
            records.reserved.holder(Path(f"/out/{place}{name}.png"))
            for name in ("cAT", "CAFE\u0301", "dog")
            for place in ("", "a_", "r/", "o/")
        ]
        ledger.fail(ledger.start(make_job("2")), reason="x", now=NOW)

    assert [holder and holder.name for holder in holders] == [
        *("CAT.png", "a_CAT.png", "CAT.png", "CAT.png"),
        *("Caf\u00e9.png", "a_Caf\u00e9.png", "Caf\u00e9.png", "Caf\u00e9.png"),
        *(None,) * 4,
    ]


@pytest.mark.parametrize("names", ["reserved", "used"])
@pytest.mark.parametrize("query", ["holders", "folder_holders"])
def test_names_are_found_by_indexes(ledger: Ledger, records: Records, names: str, query: str):
    """A drop may hold thousands of pictures, and each asks several times."""
    statement = getattr(getattr(records, names), query)
    values = {"key": b"a", "first": b"a/", "last": b"a0", "path": b"a/"}
    plan = [row["detail"] for row in ledger.rows(f"EXPLAIN QUERY PLAN {statement}", values)]

    searched = [line for line in plan if line.startswith("SEARCH jobs USING INDEX")]
    assert len(searched) == 7
    assert [line for line in plan if line.startswith("SCAN jobs")] == []


# --- damage --------------------------------------------------------------------------------------


def use(path: Path) -> None:
    """A start, and a little of a life; `InstallError` or `LedgerError` if the file is damaged."""
    ledger = Ledger(path)
    try:
        records = Records(ledger)
        drop = (
            records.open_drops()[0] if records.open_drops() else ledger.open_drop("x", DROP, now=1)
        )
        for state in State:
            records.in_state(state)
        records.endings(drop)
        records.counts()
        records.reserved.holder(DROP / "x")
        records.knows_version(Identity(1, 2, 3, 4), DROP)
        ledger.add(make_job("fresh", drop=drop.id, target=DROP / "fresh", archive=None))
        ledger.fail(ledger.start(make_job("fresh")), reason="x", now=NOW)
        ledger.check_writable()
    finally:
        ledger.close()


@pytest.mark.parametrize("seed", range(4))
def test_damage_anywhere_is_told_and_no_traceback(tmp_path: Path, seed: int):
    """Also in the text of the schema: a person is told to move the file away."""
    whole = Ledger(tmp_path / "whole.db")
    whole.open_drop("hot", DROP, now=NOW)
    for number in range(20):
        whole.add(make_job(f"{number}", source=Path(f"/hot/{number}")))
        whole.finish(whole.start(make_job(f"{number}")), now=NOW)
    whole.close()
    content, chance = (tmp_path / "whole.db").read_bytes(), random.Random(seed)
    schema = [found.start() for found in re.finditer(rb"CREATE [A-Z ]*(TABLE|INDEX)", content)]
    told = Counter[str]()
    for number in range(150):
        path = tmp_path / f"{number}.db"
        place = chance.randrange(16, len(content) - 8)
        if number % 2:
            place = chance.choice(schema) + chance.randrange(60)
        damaged = bytearray(content)
        damaged[place : place + 8] = chance.randbytes(8) if number % 3 else b"xxxxxxxx"
        path.write_bytes(damaged)
        try:
            use(path)
        except (InstallError, LedgerError) as error:
            told[type(error).__name__] += 1

    assert told["InstallError"] > 20


def test_damaged_schema_says_what_to_do(tmp_path: Path):
    """Another column's name in the text of the schema."""
    Ledger(tmp_path / "ledger.db").close()
    content = (tmp_path / "ledger.db").read_bytes()
    (tmp_path / "ledger.db").write_bytes(content.replace(b"added_at", b"added_xx"))

    with pytest.raises(InstallError, match="move it away; nothing is lost"):
        use(tmp_path / "ledger.db")


def test_row_that_makes_no_sense_says_what_to_do(ledger: Ledger, records: Records):
    """A state, stamps or details that we cannot have written."""
    ledger.add(make_job("1"))
    ledger.db.execute("UPDATE jobs SET stamps = '{'")

    with pytest.raises(InstallError, match=r"ledger is damaged .* move it away; nothing is lost"):
        records.job("1")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_others_may_not_read_it(tmp_path: Path, umask: int):
    """Whatever the umask; a file of an earlier version is closed, and the journals with it."""
    before = os.umask(umask)
    try:
        (tmp_path / "old.db").touch(0o644)
        for name in ("new.db", "old.db"):
            ledger = Ledger(tmp_path / name)
            ledger.open_drop("hot", DROP, now=NOW)
            modes = {path.stat().st_mode & 0o777 for path in tmp_path.glob(f"{name}*")}
            ledger.close()

            assert modes <= {0o640, 0o600}
    finally:
        os.umask(before)


@pytest.mark.root
def test_a_reader_who_may_not_write_reads_what_a_daemon_has_left(in_memory: Path):
    """A daemon that has ended takes its journal away, and the reader cannot make one.

    As soon as somebody writes again, the reader opens the file anew.
    """
    path = in_memory / "ledger.db"
    Ledger(path).close()
    in_memory.chmod(0o555)  # pytest's own folders are closed to others
    path.chmod(0o644)
    os.seteuid(65_534)
    try:
        reader = Ledger(path, is_read_only=True)
    finally:
        os.seteuid(0)
    with closing(reader):
        found, before = reader.rows("SELECT count(*) FROM jobs")[0][0], reader.is_in_place()
        with closing(Ledger(path)) as writer:
            writer.open_drop("hot", Path("/out"), now=0.0)
            during = reader.is_in_place()
        after = reader.is_in_place()

    assert (found, before, during, after) == (0, True, False, False)


@pytest.mark.root
def test_a_journal_that_goes_while_the_file_is_opened(
    in_memory: Path, monkeypatch: pytest.MonkeyPatch
):
    """The daemon stops at that moment. What was read then is not believed for long."""
    path = in_memory / "ledger.db"
    writer = Ledger(path)
    in_memory.chmod(0o555)
    path.chmod(0o644)
    look = database.version_of

    def look_and_stop(place: Path) -> tuple[int, int] | None:
        found = look(place)
        os.seteuid(0)
        writer.close()
        os.seteuid(65_534)
        return found

    os.seteuid(65_534)
    try:
        with monkeypatch.context() as stopping:
            stopping.setattr(database, "version_of", look_and_stop)
            reader = Ledger(path, is_read_only=True)
    finally:
        os.seteuid(0)
    with closing(reader):
        assert not reader.is_in_place()
