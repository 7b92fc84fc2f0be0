"""A second run of `cvunetd batch` makes again what is not there any more, and nothing else."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.clips import ClipProgress
from daemon.commands.batch import BATCH_STATE, batch, batch_folder, forget_changed, frames_of
from daemon.commands.startup import has_work
from daemon.config.schema import Config
from daemon.disk import files
from daemon.jobs import Done, Outcome, Task
from daemon.service.assembly import assemble_batch
from daemon.service.owned_folders import OwnedFolders
from daemon.service.service import Clocks, Inbox
from daemon.worker.engines.direct import DirectEngine
from tests.samples import NOW, names_in


def work(task: Task) -> Outcome:
    """Copies for a result and its mask."""
    identity = files.identity(task.source)
    assert identity is not None
    assert task.alpha_part is not None
    shutil.copyfile(task.source, task.part)
    shutil.copyfile(task.source, task.alpha_part)
    return Done(identity, 4, 3, {}, ())


def run(base: Path) -> None:
    """One run, from `in` to `out`."""
    config = Config.model_validate(
        {
            "output": {"content": "both"},
            "retention": {"min_free_mb": 0},
            "folders": [{"path": "in"}],
        }
    )
    folder = batch_folder(config, base, base / "in", base / "out")
    state = base / "out" / BATCH_STATE
    state.mkdir(parents=True, exist_ok=True)
    service = assemble_batch(
        config,
        OwnedFolders([folder], state=state, quarantine=state / "failed"),
        base / "out",
        DirectEngine(work),
        inbox=Inbox(),
        clocks=Clocks(
            monotonic=lambda: 100.0,
            now=lambda: NOW,
            local=lambda seconds: datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None),
        ),
    )
    forget_changed(service)
    service.run_once(is_patient=True)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """After a first run with two pictures."""
    (tmp_path / "in").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "in" / f"{name}.jpg").write_text(name)
    run(tmp_path)
    return tmp_path


WHOLE = ["cat.png", "cat_alpha.png", "dog.png", "dog_alpha.png", "manifest.json"]


def results(base: Path) -> list[str]:
    """What lies in `out`, without our own folder."""
    return [name for name in names_in(base / "out") if name != BATCH_STATE]


def test_both_are_made(base: Path):
    """What the tests below begin with."""
    assert results(base) == WHOLE


@pytest.mark.parametrize("gone", [{"cat_alpha.png"}, {"cat.png"}, {"cat.png", "cat_alpha.png"}])
def test_a_deleted_file_comes_back_under_its_name(base: Path, gone: set[str]):
    """The result or the mask; the other picture is not touched."""
    before = (base / "out/dog.png").stat()
    for name in gone:
        (base / "out" / name).unlink()

    run(base)

    assert results(base) == WHOLE
    assert (base / "out/dog.png").stat() == before


def test_a_retouched_result_stays(base: Path):
    """Its mask is deleted: the new pair stands beside the work of somebody."""
    (base / "out/cat.png").write_text("retouched")
    (base / "out/cat_alpha.png").unlink()

    run(base)

    assert results(base) == sorted({*WHOLE, "cat_2.png", "cat_2_alpha.png"} - {"cat_alpha.png"})
    assert (base / "out/cat.png").read_text() == "retouched"


@pytest.mark.parametrize("change", ["nothing", "a new picture", "a deleted result"])
def test_the_model_is_loaded_only_for_work(
    base: Path, monkeypatch: pytest.MonkeyPatch, change: str
):
    """Everything is done already: nothing is left that would need it."""
    if change == "a new picture":
        (base / "in/new.jpg").write_text("new")
    if change == "a deleted result":
        (base / "out/cat.png").unlink()
    opened = list[str]()

    def open_engine(config: Config, place: Path, folders: object) -> DirectEngine:
        opened.append("model")
        return DirectEngine(work)

    monkeypatch.setattr("daemon.commands.batch.open_configured", open_engine)
    config = base / "config.yaml"
    config.write_text("output: {content: both}\nretention: {min_free_mb: 0}\n")
    failed = batch(
        base / "in",
        base / "out",
        config,
        start_logging=lambda level, form: None,
        on_signal=lambda stop: None,
    )

    assert failed == 0
    assert opened == ([] if change == "nothing" else ["model"])
    assert set(WHOLE) <= set(results(base))


def test_once_loads_no_model_for_kept_originals_that_are_done(base: Path):
    """From cron it comes every five minutes, and they stay where they are."""
    state = base / "out" / BATCH_STATE
    folder = batch_folder(Config(), base, base / "in", base / "out")
    place = OwnedFolders([folder], state=state, quarantine=state / "failed")
    before = has_work(place)
    (base / "in/new.jpg").write_text("new")

    assert (before, has_work(place)) == (False, True)


def test_bar_says_how_far_a_clip_is():
    """A batch of one film would show nothing for an hour."""
    assert frames_of(ClipProgress(96, 200, 9.5, 10.9)) == "frame 96 of 200, 9.5/s, 11 s left"
    assert frames_of(ClipProgress(96, None, 9.5, None)) == "frame 96, 9.5/s"
