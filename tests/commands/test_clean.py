"""`cvunetd clean`: what goes, what stays, and who may do it."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from daemon.commands import clean as cleaning
from daemon.disk.lock import Lock
from daemon.errors import Blame, InstallError
from daemon.jobs import Failed, Outcome, Task
from tests.service.service_kit import START, Kit, copy_out

LATER = datetime.fromtimestamp(START + 9 * 86400, UTC).replace(tzinfo=None)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The base of a kit with one closed drop."""
    kit = Kit(tmp_path)
    kit.drop("cat.jpg")
    kit.pass_time(40)
    kit.die()
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"folders": [{"path": "hot"}]}))
    return tmp_path


def clean(base: Path, *, is_dry: bool, local_now: datetime = LATER) -> list[str]:
    """What the command says."""
    return list(
        cleaning.clean(
            base / "config.yaml",
            is_dry=is_dry,
            start_logging=lambda level, form: None,
            local_now=local_now,
        )
    )


def test_a_dry_run_tells_and_deletes_nothing(old: Path) -> None:
    """The drop is named and stays."""
    [drop] = (old / "outputs").iterdir()

    assert clean(old, is_dry=True) == [f"would delete {drop}"]
    assert drop.exists()


def test_a_real_run_deletes_and_forgets(old: Path) -> None:
    """Folder and rows."""
    [drop] = (old / "outputs").iterdir()

    assert clean(old, is_dry=False) == [f"deleted {drop}"]
    assert not drop.exists()
    assert Kit(old).records.counts() == {}


def test_nothing_old_is_told(old: Path) -> None:
    """A person sees that the command has looked."""
    soon = datetime.fromtimestamp(START + 6 * 86400, UTC).replace(tzinfo=None)

    for is_dry in (True, False):
        told = clean(old, is_dry=is_dry, local_now=soon)
        assert told == ["nothing is older than 7 days (retention.keep_days)"]


def test_without_a_configuration_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder where somebody typed it by mistake must not get a ledger."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("daemon.config.schema.SEARCHED", (tmp_path / "config.yaml",))
    told = cleaning.clean(None, is_dry=False, start_logging=lambda *_: None, local_now=LATER)
    with pytest.raises(InstallError, match="no configuration at"):
        list(told)

    assert list(tmp_path.iterdir()) == []


def test_a_state_folder_that_is_a_file(tmp_path: Path) -> None:
    """Told with its path."""
    (tmp_path / "hot").mkdir()
    (tmp_path / "state").write_text("a file")
    (tmp_path / "config.yaml").write_text("folders: [{path: hot}]\n")
    with pytest.raises(InstallError, match=f"{tmp_path}/state cannot be written: a file has"):
        clean(tmp_path, is_dry=False)


def test_a_young_drop_stays(old: Path) -> None:
    """Six days are not seven."""
    soon = datetime.fromtimestamp(START + 6 * 86400, UTC).replace(tzinfo=None)

    clean(old, is_dry=False, local_now=soon)
    assert len(list((old / "outputs").iterdir())) == 1


def test_beside_a_running_daemon_only_a_dry_run_is_allowed(old: Path) -> None:
    """Two hands on one ledger would be one too many."""
    lock = Lock(old / "state/lock")
    lock.take("the state")

    with pytest.raises(InstallError, match="in use by another cvunetd"):
        clean(old, is_dry=False)
    assert len(clean(old, is_dry=True)) == 1
    lock.release()


def work(task: Task) -> Outcome:
    """Good pictures come out, the bad one does not."""
    return Failed(Blame.FILE, "bad") if "bad" in task.source.name else copy_out(task)


@pytest.fixture
def varied(tmp_path: Path) -> Path:
    """Old things of every kind: two drops, one deleted by hand, a rejected picture, a kept one."""
    for name in ("hot", "kept"):
        (tmp_path / name).mkdir()
    folders = [{"path": "hot", "defer_s": 0.0}, {"path": "kept", "originals": "keep"}]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"folders": folders}))
    kit = Kit(tmp_path, work=work, settings={"folders": folders})
    for names in (("hot/bad.jpg", "hot/cat.jpg"), ("kept/gone.jpg", "kept/here.jpg")):
        for name in names:
            (tmp_path / name).write_bytes(name.encode())
        kit.service.next_sweep.clear()
        kit.pass_time(70, step_s=1)
    kit.die()
    shutil.rmtree(sorted((tmp_path / "outputs").iterdir())[0])
    (tmp_path / "kept/gone.jpg").unlink()
    return tmp_path


def test_a_dry_run_lists_everything_that_a_real_run_deletes(varied: Path) -> None:
    """Word by word, and nothing has changed before."""
    before = sorted(varied.rglob("*"))
    would = clean(varied, is_dry=True)
    unchanged = [path for path in sorted(varied.rglob("*")) if "ledger.db-" not in path.name]
    did = clean(varied, is_dry=False)

    assert [line.removeprefix("would ") for line in would] == [
        line.replace("deleted ", "delete ").replace("forgot ", "forget ") for line in did
    ]
    kinds = [line.split()[1:3] for line in would]
    assert len(kinds) == 4
    assert unchanged == [path for path in before if "ledger.db-" not in path.name]
    assert clean(varied, is_dry=True) == ["nothing is older than 7 days (retention.keep_days)"]
    assert (varied / "kept/here.jpg").exists()


def test_a_dry_run_without_a_ledger_tells_what_lies_on_disk(old: Path) -> None:
    """And makes none."""
    for path in (old / "state").iterdir():
        path.unlink()

    assert len(clean(old, is_dry=True)) == 1
    assert list((old / "state").iterdir()) == []
