"""A new configuration while pictures are in work."""

import os
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.commands.config_reader import ConfigReader
from daemon.config import schema as configuration
from daemon.disk.lock import Lock, owner
from daemon.errors import Blame
from daemon.jobs import Failed, Hint
from daemon.messages import FileEvent, Reload
from tests.service.service_kit import Kit, fail_with
from tests.service.share_kit import Share
from tests.system.reaper import Died


class World:
    """A service that reads its configuration from a file."""

    def __init__(self, base: Path, **options: Any) -> None:  # Any: of the kit
        self.base = base
        self.file = base / "config.yaml"
        self.kit = Kit(base, **options)
        self.write()
        config, _ = configuration.load(self.file)
        self.kit.service.parts.reconfiguration.reread = ConfigReader(
            self.file, config, os.environ
        ).read

    def write(self, *folders: dict[str, Any], **sections: Any) -> None:  # Any: YAML
        """Another file; not read yet."""
        content = {"folders": list(folders) or [{"path": "hot"}], "retention": {"min_free_mb": 0}}
        self.file.write_text(yaml.safe_dump(content | sections))

    def reload(self) -> None:
        """SIGHUP."""
        self.kit.inbox.put(Reload())
        self.kit.pass_time(1.0)

    def drop(self, folder: str, name: str) -> None:
        """A picture in some folder, and word of it."""
        path = self.base / folder / name
        path.write_bytes(b"picture")
        self.kit.inbox.put(FileEvent(folder, path, Hint.MOVED))

    def lock_owner(self, folder: str) -> int | None:
        """Who owns a hot folder."""
        return owner(self.base / folder / ".cvunetd" / "lock")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Two folders are there, one of them is served."""
    (tmp_path / "second").mkdir()
    return World(tmp_path)


def test_folder_is_added(world: World):
    """Served and owned from then on."""
    world.write({"path": "hot"}, {"path": "second"})
    world.reload()
    world.drop("second", "cat.jpg")
    world.kit.pass_time(5.0)

    assert world.kit.results() == ["cat.png", "originals/cat.jpg"]
    assert world.lock_owner("second") is not None


def test_folder_is_removed_when_its_pictures_are_done(tmp_path: Path):
    """What was taken comes out; what comes later stays; the lock is let go at the end."""
    (tmp_path / "second").mkdir()
    world = World(tmp_path, is_held=True)
    world.write({"path": "hot"}, {"path": "second"})
    world.reload()
    world.drop("second", "cat.jpg")
    world.kit.pass_time(3.0)
    world.write({"path": "hot"})
    world.reload()
    world.drop("second", "late.jpg")
    world.kit.pass_time(70.0)
    owned_meanwhile = world.lock_owner("second")
    world.kit.engine.run_held()
    world.kit.pass_time(3.0)

    assert world.kit.results() == ["cat.png", "originals/cat.jpg"]
    assert (tmp_path / "second" / "late.jpg").exists()
    assert owned_meanwhile is not None
    assert world.lock_owner("second") is None
    assert sorted(world.kit.service.parts.folders.by_name) == ["hot"]


def test_engine_is_told_of_each_folder(world: World):
    """A cluster's machines have to see what is added, and need not see what is gone."""
    told = []
    for names in (("hot", "second"), ("second",)):
        world.write(*({"path": name} for name in names))
        world.reload()
        world.kit.pass_time(3.0)
        told.append(world.kit.engine.folders)
    hot, second, out = (world.base / name for name in ("hot", "second", "outputs"))

    assert told == [({hot, second}, {out}), ({second}, {out})]


def test_folder_gets_another_name(tmp_path: Path):
    """The old name's pictures are done first, and the lock is never free."""
    world = World(tmp_path, is_held=True)
    world.kit.drop("cat.jpg")
    world.kit.pass_time(3.0)
    world.write({"path": "hot", "name": "warm"})
    world.reload()
    before = sorted(world.kit.service.parts.folders.by_name)
    world.kit.engine.run_held()
    world.kit.pass_time(3.0)

    assert (before, sorted(world.kit.service.parts.folders.by_name)) == (["hot"], ["warm"])
    assert world.kit.results() == ["cat.png", "originals/cat.jpg"]


def test_settings_of_a_folder_change(world: World):
    """From the next picture on."""
    world.write({"path": "hot", "output": {"name": "{stem}-cut"}})
    world.reload()
    world.kit.drop("cat.jpg")
    world.kit.pass_time(5.0)

    assert "cat-cut.png" in world.kit.results()


def test_retention_changes(world: World):
    """Also what counts as a full disk."""
    world.write(retention={"keep_days": 3, "min_free_mb": 1})
    world.reload()
    retention = world.kit.service.parts.retention
    assert retention is not None

    assert retention.keep_days == 3
    assert world.kit.service.parts.standby.min_free_mb == 1


@pytest.mark.parametrize(
    ("folders", "reason"),
    [
        ([{"path": "nowhere"}], "nowhere does not exist"),
        ([{"path": "hot", "settle_s": -1}], "settle_s"),
        ([{"path": "hot"}, {"path": "second", "name": "hot"}], "two folders are named"),
        ([{"path": "hot", "output": {"background": f"{'b' * 300}.png"}}], "is no file"),
        ([{"path": "hot", "output": {"drop_name": "\ud800{time}"}}], "a drop's name is made of"),
        ([{"path": "hot", "output": {"name": "\ud800{stem}"}}], "a name is made of"),
        ([{"path": "hot", "settle_s": date(2026, 12, 31)}], "settle_s"),
    ],
)
def test_wrong_file_is_refused_whole(
    world: World,
    folders: list[dict[str, Any]],  # Any: YAML
    reason: str,
    caplog: pytest.LogCaptureFixture,
):
    """The old one stays, and works."""
    world.write(*folders, retention={"keep_days": 3})
    world.reload()
    world.kit.drop("cat.jpg")
    world.kit.pass_time(5.0)
    retention = world.kit.service.parts.retention

    assert "refused, the old one stays" in caplog.text
    assert reason in caplog.text
    assert retention is not None
    assert retention.keep_days == 7
    assert world.kit.results() == ["cat.png", "originals/cat.jpg"]


def test_file_that_the_parser_cannot_read_is_refused(
    world: World, caplog: pytest.LogCaptureFixture
):
    """A typing error in a date ends no daemon."""
    world.file.write_text("log: 2026-13-45\n")
    world.reload()
    world.kit.drop("cat.jpg")
    world.kit.pass_time(5.0)

    assert "is not valid YAML: month must be in 1..12" in caplog.text
    assert world.kit.results() == ["cat.png", "originals/cat.jpg"]


def test_folder_of_another_daemon_is_refused(world: World, caplog: pytest.LogCaptureFixture):
    """No folder is changed, and no lock kept."""
    (world.base / "third").mkdir()
    other = Lock(world.base / "third" / ".cvunetd" / "lock")
    other.take("third")
    world.write({"path": "second"}, {"path": "third"})
    world.reload()
    other.release()

    assert "in use by another cvunetd" in caplog.text
    assert world.lock_owner("second") is None
    assert sorted(world.kit.service.parts.folders.by_name) == ["hot"]


def test_what_needs_a_restart_says_so(world: World, caplog: pytest.LogCaptureFixture):
    """Everything else of the same file counts at once."""
    world.write(
        model={"input_size": 64},
        state_dir="elsewhere",
        retention={"keep_days": 3, "min_free_mb": 0},
    )
    world.reload()
    retention = world.kit.service.parts.retention
    assert retention is not None

    assert "model.input_size has changed: that needs a restart" in caplog.text
    assert "state_dir has changed" in caplog.text
    assert "keep_days" not in caplog.text
    assert retention.keep_days == 3


def test_folder_whose_share_is_away_is_no_fault(world: World):
    """It stands by, and goes on doing so."""
    world.kit.hot.rename(world.base / "away")
    world.write({"path": "hot"}, {"path": "second"})
    world.reload()

    assert sorted(world.kit.service.parts.folders.by_name) == ["hot", "second"]


def test_picture_that_the_engine_has_not_loaded_is_refused(
    world: World, caplog: pytest.LogCaptureFixture
):
    """Backgrounds are decoded at the start: a new one would end the process at its first result."""
    (world.base / "beach.png").write_bytes(b"picture")
    world.write({"path": "hot", "output": {"background": "beach.png", "name": "other"}})
    world.reload()
    world.kit.drop("cat.jpg")
    world.kit.pass_time(5.0)

    assert "beach.png is new: that needs a restart" in caplog.text
    assert world.kit.results() == ["cat.png", "originals/cat.jpg"]


def test_estimator_that_the_engine_has_not_loaded_is_refused(
    world: World, caplog: pytest.LogCaptureFixture
):
    """The extra may be missing, and compiles itself for a long time."""
    world.write({"path": "hot"}, postprocess={"colours": "refine"})
    world.reload()

    assert "postprocess.colours: refine or hair: exact is new: that needs a restart" in caplog.text


@pytest.mark.parametrize(
    "folder",
    [
        {"model": "slow"},
        {"output": {"review": {"second": "slow", "below": 0.5}}},
    ],
)
def test_model_that_the_engine_has_not_loaded_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, folder: dict[str, Any]
):
    """It is told as new, and not as missing from the list in which it stands."""
    old = {"quick": "quick.pth"}
    world = World(tmp_path, settings={"models": old})
    world.write(models=old)
    config, _ = configuration.load(world.file)
    world.kit.service.parts.reconfiguration.reread = ConfigReader(world.file, config, {}).read
    world.write({"path": "hot"} | folder, models=old | {"slow": "slow.pth"})
    world.reload()

    assert "model slow is new: that needs a restart" in caplog.text
    assert "is none of models" not in caplog.text


def test_model_that_no_folder_uses_may_be_new(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """The rest of the configuration is used; the report says that `models` needs a restart."""
    world = World(tmp_path)
    world.write(models={"fine": "fine.pth", "quick": "quick.pth"})
    world.reload()

    assert "is new" not in caplog.text
    assert "needs a restart" in caplog.text


def test_monitors_are_told_of_folders_as_they_are_now(world: World):
    """A folder that has gone is not told of any more, nor what lay in it."""
    service = world.kit.service
    before = set(service.snapshot().folders)
    world.write({"path": "second"})
    world.reload()
    world.kit.pass_time(70.0)

    assert (before, set(service.snapshot().folders)) == ({"hot"}, {"second"})
    assert "hot" not in service.parts.intake.backlog.folders


def published(base: Path) -> None:
    """A life that has ended between a result of the second folder and its original."""
    world = World(base)
    world.write({"path": "hot"}, {"path": "second"})
    world.reload()
    world.drop("second", "cat.jpg")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.kit.service.parts.completion.originals, "put_away", die)
        with pytest.raises(Died):
            world.kit.pass_time(3.0)
    world.kit.die()
    for lock in world.kit.service.parts.standby.locks.values():
        lock.release()


def die(*arguments: object) -> None:
    """The process is gone."""
    raise Died("before archiving")


def test_folder_is_added_whose_share_is_down(world: World, monkeypatch: pytest.MonkeyPatch):
    """What an earlier life has left of it is recovered when the share is back."""
    world.kit.die()
    published(world.base)
    share = Share(world.base / "outputs", monkeypatch)
    world = World(world.base, work=fail_with(Failed(Blame.FILE, "cut out twice")))
    share.is_down = True
    world.write({"path": "hot"}, {"path": "second"})
    world.reload()
    world.kit.pass_time(30.0)
    meanwhile = world.kit.records.counts()
    share.come_back()
    world.kit.pass_time(30.0)

    assert meanwhile == {"second": {"running": 1}}
    assert world.kit.records.counts() == {"second": {"done": 1}}
    assert world.kit.results() == ["cat.png", "originals/cat.jpg"]


@pytest.mark.parametrize("is_wanted_again", [False, True])
def test_folder_is_removed_whose_share_is_down(
    world: World, monkeypatch: pytest.MonkeyPatch, is_wanted_again: bool
):
    """It is served until the share is back, and what waits there is recovered."""
    world.kit.die()
    published(world.base)
    share = Share(world.base / "outputs", monkeypatch)
    share.is_down = True
    world = World(
        world.base,
        work=fail_with(Failed(Blame.FILE, "cut out twice")),
        settings={"folders": [{"path": "hot"}, {"path": "second"}]},
    )
    world.write({"path": "hot"})
    world.reload()
    world.kit.pass_time(30.0)
    meanwhile = sorted(world.kit.service.parts.folders.by_name)
    if is_wanted_again:
        world.write({"path": "hot"}, {"path": "second", "settle_s": 5})
        world.reload()
    share.come_back()
    world.kit.pass_time(30.0)

    assert meanwhile == ["hot", "second"]
    assert len(world.kit.service.parts.folders.by_name) == 1 + is_wanted_again
    assert world.kit.records.counts() == {"second": {"done": 1}}
    assert world.kit.results() == ["cat.png", "originals/cat.jpg"]
