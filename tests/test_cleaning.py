"""`cvunetd clean`: what goes, what stays, and who may do it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from daemon import cleaning
from daemon.errors import InstallError
from daemon.lock import Lock
from tests.service_kit import START, Kit

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
            start_logging=lambda level: None,
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


def test_a_young_drop_stays(old: Path) -> None:
    """Six days are not seven."""
    soon = datetime.fromtimestamp(START + 6 * 86400, UTC).replace(tzinfo=None)

    assert clean(old, is_dry=False, local_now=soon) == []
    assert len(list((old / "outputs").iterdir())) == 1


def test_beside_a_running_daemon_only_a_dry_run_is_allowed(old: Path) -> None:
    """Two hands on one ledger would be one too many."""
    lock = Lock(old / "state/lock")
    lock.take("the state")

    with pytest.raises(InstallError, match="in use by another cvunetd"):
        clean(old, is_dry=False)
    assert len(clean(old, is_dry=True)) == 1
    lock.release()
