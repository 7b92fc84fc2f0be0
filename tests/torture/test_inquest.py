"""A loss is told with everything that is known of it, and its folder is kept."""

import json
from pathlib import Path

import pytest

from daemon.errors import Blame
from daemon.jobs import Failed
from tests.service.service_kit import Kit, fail_with
from tests.torture import __main__ as torture
from tests.torture import inquest
from tests.torture.tally import Ground, Row


@pytest.fixture
def loss(tmp_path: Path) -> Ground:
    """A service has rejected a picture that the case knows as good."""
    kit = Kit(tmp_path, work=fail_with(Failed(Blame.FILE, "a wrong reason", is_final=True)))
    ground = Ground(tmp_path / "hot", tmp_path / "outputs", tmp_path / "failed")
    ground.key_of = lambda path: path.name
    photo = tmp_path / "photo"
    photo.write_bytes(b"picture")
    ground.expect(photo)
    photo.unlink()
    kit.drop("cat.jpg")
    kit.pass_time(3)
    kit.die()
    (tmp_path / "config.yaml").write_text(json.dumps({"folders": [{"path": "hot", "name": "hot"}]}))
    lines = [f"line {number}" for number in range(100)]
    lines[50] = "rejected cat.jpg: a wrong reason"
    (tmp_path / "log").write_text("\n".join(lines))
    return ground


def test_a_loss_is_told_with_reason_row_why_and_log(loss: Ground) -> None:
    """Where it lies, why it was rejected, what the ledger and the log say."""
    row = loss.row("case")
    told = row.told.splitlines()

    assert row.lost == 1
    assert told[0].startswith("lost: ")
    assert any("it lies at" in line and line.endswith("failed/hot/cat.jpg") for line in told)
    assert any(line.startswith("  reason: ") and '"a wrong reason"' in line for line in told)
    assert any(line.startswith("  ledger: ") and "'attempts': 1" in line for line in told)
    assert any(line.startswith("  why cat.jpg: ") and "failed at" in line for line in told)
    assert [line for line in told if line.startswith("  log: ")] == [
        "  log: 48: line 47",
        "  log: 49: line 48",
        "  log: 50: line 49",
        "  log: 51: rejected cat.jpg: a wrong reason",
        "  log: 52: line 51",
        "  log: 53: line 52",
        "  log: 54: line 53",
    ]


def test_a_clean_case_tells_nothing(loss: Ground) -> None:
    """No picture is lost."""
    loss.good.clear()

    assert loss.row("case").told == ""


def test_a_long_log_is_cut(tmp_path: Path) -> None:
    """The whole of it is kept with the folder."""
    (tmp_path / "log").write_text("cat.jpg\n" * 1000)
    lines = inquest.around(tmp_path / "log", {"cat.jpg"})

    assert len(lines) == inquest.MOST_LINES + 1
    assert lines[-1] == f"({1000 - inquest.MOST_LINES} more lines)"


def test_what_is_missing_is_no_trouble(tmp_path: Path) -> None:
    """A case without ledger, log or configuration."""
    told = inquest.told(tmp_path, "0" * 64, "lost", [])

    assert told == f"lost: {'0' * 16}"


@pytest.mark.parametrize(("lost", "is_kept"), [(0, False), (1, True)])
def test_the_folder_of_a_case_that_is_not_clean_is_kept(
    lost: int, is_kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the row says where."""
    monkeypatch.setattr(torture, "REMAINS", tmp_path / "remains")
    base = tmp_path / "base"
    (base / "failed").mkdir(parents=True)
    (base / "failed/cat.jpg").write_bytes(b"picture")
    [row] = torture.kept_if_dirty(base, ["kills"], [Row("case", lost=lost)], None)
    copies = list((tmp_path / "remains").glob("kills-*/failed/cat.jpg"))

    assert (len(copies) == 1, "kept: " in row.told) == (is_kept, is_kept)


def test_the_folder_of_a_case_that_breaks_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its error goes on its way."""
    monkeypatch.setattr(torture, "REMAINS", tmp_path / "remains")
    base = tmp_path / "base"
    base.mkdir()
    with pytest.raises(AssertionError), torture.kept_if_broken(base, ["kills"], None):
        raise AssertionError

    assert "kept: " in capsys.readouterr().err
