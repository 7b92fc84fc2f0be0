"""A reload of the daemon while the server runs: what has changed counts for the server, too."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import yaml

from daemon.commands.config_reader import ConfigReader
from daemon.config import folders as hot_folders
from daemon.config import schema as configuration
from daemon.config.schema import Config
from daemon.disk.lock import FILE
from daemon.jobs import Hint
from daemon.messages import FileEvent, Reload, Stop
from daemon.reporting.latest_snapshot import LatestSnapshot
from daemon.reporting.report_file import REPORT
from daemon.web.reported import Reported
from daemon.web.sources import OwnProcess
from tests.web.web_kit import Json, Kit, picture, running, wait_for

pytestmark = pytest.mark.web
V1 = "/api/v1"
UPLOADS: Json = {"web": {"folder": "uploads"}}
ROOMY: Json = {"retention": {"min_free_mb": 0}}


class World:
    """A kit whose daemon reads its configuration from a file."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.file = kit.base / "config.yaml"

    def write(self, *folders: Json, **sections: object) -> None:
        """Another file; not read yet."""
        content = {"folders": list(folders) or [{"path": "hot"}]} | UPLOADS | ROOMY
        self.file.write_text(yaml.safe_dump(content | sections))

    def reload(self, *folders: Json, **sections: object) -> None:
        """SIGHUP with another file; what is put into the inbox later is done by the new one."""
        self.write(*folders, **sections)
        self.kit.inbox.put(Reload())

    def drop(self, name: str, folder: str = "hot") -> Json:
        """Put a picture into a hot folder; its row when it is done."""
        path = (self.kit.base / folder / name).resolve()
        path.write_bytes(b"dropped")
        self.kit.inbox.put(FileEvent(folder, path, Hint.MOVED))
        assert wait_for(lambda: list(self.kit.base.glob(f"*/outputs_*/{path.stem}.png")))
        assert wait_for(
            lambda: self.kit.client.get(f"{V1}/pictures?text={name}").json()["pictures"]
        )
        [found] = self.kit.client.get(f"{V1}/pictures?text={name}").json()["pictures"]
        return dict(found)

    def drop_unseen(self, name: str) -> None:
        """The same, without a question to the server."""
        path = (self.kit.base / "hot" / name).resolve()
        path.write_bytes(b"dropped")
        self.kit.inbox.put(FileEvent("hot", path, Hint.MOVED))
        assert wait_for(lambda: list(self.kit.base.glob(f"*/outputs_*/{path.stem}.png")))

    def cut_out(self, content: bytes) -> int:
        """Wait for a cut-out; the status of the answer."""
        answer = self.kit.client.post(f"{V1}/cutouts?name=cat.jpg", content=content)
        return answer.status_code


@contextmanager
def world_of(base: Path, *, is_apart: bool = False, **sections: object) -> Iterator[World]:
    """Daemon and server, which begin with one folder and these settings."""
    kit = Kit(base, is_apart=is_apart, settings=dict(sections))
    world = World(kit)
    world.write(**sections)
    config, _ = configuration.load(world.file)
    kit.reread = ConfigReader(world.file, config, os.environ).read
    with running(kit):
        yield world


@pytest.fixture(params=[False, True], ids=["inside", "apart"])
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """The server is a thread of the daemon, or knows it by its files."""
    with world_of(tmp_path, is_apart=request.param) as world:
        yield world


def test_results_in_another_output_folder_are_served(world: World):
    """At once, in every way to ask for them; and so are those made before."""
    kit = world.kit
    old = kit.upload(b"old")
    kit.wait(old)
    world.reload(output={"root": "elsewhere"})

    assert world.cut_out(b"new 1") == 200
    new = kit.upload(b"new 2")
    kit.wait(new)
    drops = kit.client.get(f"{V1}/drops").json()["drops"]
    found = kit.client.get(f"{V1}/pictures").json()["pictures"]
    zipped = kit.client.post(f"{V1}/archives", json={"pictures": [old, new]}).json()

    assert list(kit.base.glob("elsewhere/outputs_*/*.png"))
    assert [kit.client.get(f"{V1}/pictures/{one}/result").status_code for one in (old, new)] == [
        200,
        200,
    ]
    assert len(drops) == 2
    assert len(found) == 3
    assert (zipped["files"], zipped["missing"]) == (2, 0)
    assert {kit.client.get(one["zip"]).status_code for one in drops} == {200}


def test_results_for_other_clients_are_served(world: World):
    """remove.bg's and rembg's languages."""
    world.reload(output={"root": "elsewhere"})
    files = {"image_file": ("cat.jpg", b"1")}

    assert world.kit.client.post("/v1.0/removebg", files=files).status_code == 200
    assert world.kit.client.post("/api/remove", files={"file": ("a.jpg", b"2")}).status_code == 200


def test_a_new_folder_with_an_output_folder_of_its_own(world: World):
    """It joins a moment after the reload."""
    (world.kit.base / "second").mkdir()
    world.reload({"path": "hot"}, {"path": "second", "output": {"root": "own"}})
    found = world.drop("dog.jpg", "second")

    assert world.kit.client.get(f"{found['href']}/result").content == b"dropped"


def test_a_folder_that_changes_its_model(tmp_path: Path):
    """The list of models says which folders use each now."""
    models = {"cvunet": "models/cvunet.pth", "other": "models/other.onnx"}
    with world_of(tmp_path, models=models) as world:
        world.reload({"path": "hot", "model": "other"}, models=models)

        def users() -> list[list[str]]:
            answer = world.kit.client.get(f"{V1}/models").json()
            return [one["folders"] for one in answer["models"]]

        assert wait_for(lambda: users() == [["web"], ["hot"]])


def test_an_output_folder_that_was_used_between_two_reloads(world: World):
    """Nobody has asked the server anything meanwhile."""
    world.reload(output={"root": "second"})
    world.drop_unseen("dog.jpg")
    world.reload(output={"root": "third"})
    world.drop_unseen("fox.jpg")
    assert world.cut_out(b"third") == 200
    [found] = world.kit.client.get(f"{V1}/pictures?text=dog").json()["pictures"]

    assert world.kit.client.get(f"{found['href']}/result").content == b"dropped"


def test_results_are_served_when_the_daemon_has_ended(tmp_path: Path):
    """A server of its own remembers where they went."""
    with world_of(tmp_path, is_apart=True) as world:
        world.reload(output={"root": "elsewhere"})
        assert world.cut_out(b"new") == 200
        world.kit.inbox.put(Stop(15))
        world.kit.daemon.join()
        [found] = world.kit.client.get(f"{V1}/pictures").json()["pictures"]

        assert world.kit.client.get(f"{V1}/status").json()["state"] == "down"
        assert world.kit.client.get(f"{found['href']}/result").status_code == 200


def test_only_the_daemon_says_where_results_are(tmp_path: Path):
    """A report that no running daemon has written is not believed."""
    with world_of(tmp_path, is_apart=True) as world:
        kit = world.kit
        world.reload(output={"root": "elsewhere"})
        world.drop_unseen("dog.jpg")
        kit.inbox.put(Stop(15))
        kit.daemon.join()
        report = kit.base / "state" / REPORT
        content = json.loads(report.read_text())
        assert str((kit.base / "elsewhere").resolve()) in content["output_roots"]
        report.write_text(json.dumps(content | {"pid": os.getpid()}))

        assert (kit.base / "state" / FILE).exists()
        assert kit.client.get(f"{V1}/drops").json()["drops"] == []


def test_options_are_checked_by_what_counts_now(world: World):
    """A format of 8 bits cannot have 16; the general settings also shape uploads."""
    ask: Callable[[], int] = partial(status_of, world, "depth=16")

    assert ask() == 202
    world.reload(output={"format": "webp"})
    assert wait_for(lambda: ask() == 400)
    world.reload(output={"format": "tiff"})
    assert wait_for(lambda: ask() == 202)


def test_a_report_of_another_version(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """What it does not say stays; a rendering that nobody here understands is told once."""
    config = Config.model_validate({"folders": [{"path": "hot"}]} | UPLOADS)
    uploads = hot_folders.uploads_folder(config, tmp_path)
    assert uploads is not None
    folder: Json = {"path": "/srv/uploads", "output_root": "/srv/new"}
    source = OwnProcess(LatestSnapshot())
    known = Reported(
        source,
        uploads,
        roots=frozenset({Path("/srv/old")}),
        min_free_mb=5,
        keep_days=3,
        users={"web": "cvunet"},
    )
    source.report = lambda: {"folders": {"web": folder}}  # type: ignore[method-assign]
    known.look()
    assert known.roots == {Path("/srv/old"), Path("/srv/new")}
    assert known.roots_in_use() == {Path("/srv/new")}
    assert (known.min_free_mb, known.keep_days) == (5, 3)
    assert known.users_of("cvunet") == ["web"]

    folder |= {"rendering": {"format": "hologram"}}
    known.look()
    known.look()
    assert known.rendering == uploads.rendering
    assert caplog.text.count("restart this server") == 1


def status_of(world: World, query: str) -> int:
    """What an upload with options is answered."""
    answer = world.kit.client.post(f"{V1}/pictures?name=a.png&{query}", content=picture())
    return answer.status_code


def test_the_least_free_space_is_what_counts_now(world: World):
    """For uploads, and on the page."""
    assert status_of(world, "") == 202
    world.reload(retention={"min_free_mb": 10**9})

    assert wait_for(lambda: status_of(world, "") == 507)
    assert wait_for(lambda: world.kit.client.get(f"{V1}/disks").json()["min_free_bytes"] == 10**15)
