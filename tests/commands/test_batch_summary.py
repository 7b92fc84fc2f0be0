"""What `batch` tells at its end, and that nothing is loaded for nothing."""

from pathlib import Path

import pytest
import yaml

from daemon.commands import batch as batches
from daemon.commands import once as onces
from daemon.commands import startup
from daemon.config.schema import Config
from daemon.disk import files
from daemon.errors import Blame
from daemon.jobs import Confidence, Done, Failed, Outcome, Task
from daemon.worker.engines import Engine
from daemon.worker.engines.direct import DirectEngine
from tests.service.service_kit import copy_out

DOUBTFUL = Confidence(0.2, {}, {}, (), ("half transparent",))


def work(task: Task) -> Outcome:
    """Refuses noise, doubts about what is named so."""
    if "bad" in task.source.name:
        return Failed(Blame.FILE, "no picture")
    done = copy_out(task)
    assert isinstance(done, Done)
    identity = files.identity(task.source)
    assert identity is not None
    doubt = DOUBTFUL if "doubt" in task.source.name else None
    return Done(identity, 4, 3, {}, (), confidence=doubt)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How often a model was loaded; the engine has none."""
    times: list[str] = []

    def open_configured(config: Config, base: Path, folders: object) -> Engine:
        times.append("opened")
        return DirectEngine(work)

    for module in (startup, batches):
        monkeypatch.setattr(module, "open_configured", open_configured)
    return times


def run(base: Path, *names: str) -> tuple[int, list[str]]:
    """The exit count and what was told."""
    (base / "in").mkdir(exist_ok=True)
    for name in names:
        (base / "in" / name).write_bytes(name.encode())
    config = base / "config.yaml"
    config.write_text(yaml.safe_dump({"folders": [{"path": "in"}]}))
    told: list[str] = []
    failed = batches.batch(
        base / "in",
        base / "out",
        config,
        start_logging=lambda level, form: None,
        on_signal=lambda stop: None,
        tell=told.append,
    )
    return failed, told


@pytest.mark.usefixtures("opened")
def test_summary_and_bar_count_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Each file of IN is in one of the numbers, and the bar ends at its end."""
    failed, told = run(tmp_path, "a.jpg", "doubt.jpg", "bad1.jpg", "bad2.jpg", "a.xmp")
    out = tmp_path / "out"

    assert failed == 2
    assert told == [
        f"2 done, 1 of them doubtful (also in {out}/review), 2 rejected"
        f" (reasons in {out}/.cvunetd/failed/batch), 1 ignored (no pictures by their name)"
    ]
    assert "4/4" in capsys.readouterr().err


@pytest.mark.usefixtures("opened")
def test_repeated_run_adds_no_second_reason(tmp_path: Path):
    """It tries again, and says the same."""
    first = run(tmp_path, "a.jpg", "bad.jpg")
    second = run(tmp_path)

    assert first == second
    assert sorted(path.name for path in (tmp_path / "out/.cvunetd/failed/batch").iterdir()) == [
        "bad.jpg.json"
    ]


def test_empty_batch_loads_no_model(tmp_path: Path, opened: list[str]):
    """Nor one that holds only what is ignored."""
    failed, told = run(tmp_path, "a.xmp")

    assert (failed, opened) == (0, [])
    assert told == ["0 done, 0 of them doubtful, 0 rejected, 1 ignored (no pictures by their name)"]


@pytest.mark.parametrize(("name", "expected"), [(None, 0), ("a.xmp", 0), ("a.jpg", 1)])
def test_once_loads_the_model_only_for_pictures(
    tmp_path: Path, opened: list[str], name: str | None, expected: int
):
    """A cron job comes every minute, and mostly finds nothing."""
    (tmp_path / "hot").mkdir()
    (tmp_path / "config.yaml").write_text(
        yaml.safe_dump({"folders": [{"path": "hot", "settle_s": 0.1}]})
    )
    if name is not None:
        (tmp_path / "hot" / name).write_bytes(b"x")
    onces.once(
        tmp_path / "config.yaml",
        start_logging=lambda level, form: None,
        on_signal=lambda stop: None,
    )

    assert len(opened) == expected
