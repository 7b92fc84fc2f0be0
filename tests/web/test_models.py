"""Models and adjustments of a request: listed, chosen, and kept with the picture's row."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.disk.uploads import Staged
from daemon.renderings import Adjustments
from tests.web.web_kit import Kit, running, wait_for

pytestmark = pytest.mark.web
MODELS = {
    "cvunet": "models/cvunet.pth",
    "portraits": {"file": "models/other.onnx", "input_size": 1024, "device": "cpu"},
}
SETTINGS = {"models": MODELS, "folders": [{"path": "hot", "model": "portraits"}]}


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """Server and daemon with two models."""
    with running(Kit(tmp_path, settings=SETTINGS)) as kit:
        yield kit


def test_the_list_has_every_model(kit: Kit):
    """With its file's name, not its place, and who uses it."""
    ours, other = kit.client.get("/api/v1/models").json()["models"]

    assert (ours["name"], ours["file"], ours["is_default"]) == ("cvunet", "cvunet.pth", True)
    assert (ours["family"], ours["folders"]) == ("cvunet", ["web"])
    assert other == {
        "name": "portraits",
        "file": "other.onnx",
        "family": "unknown",
        "licence": "unknown",
        "runtime": "auto",
        "devices": ["cpu"],
        "input_size": 1024,
        "is_default": False,
        "folders": ["hot"],
    }


def test_a_request_chooses_its_model(kit: Kit):
    """And its adjustments; without a wish the folder's model cuts out."""
    for options in ({"model": "portraits", "adjust_low": "0.2"}, {}):
        kit.wait(kit.upload(**options))

    assert [task.model for task in kit.tasks] == ["portraits", "cvunet"]
    assert kit.tasks[0].rendering.adjustments == Adjustments(low=0.2)


def test_a_model_that_is_not_there(kit: Kit):
    """400 with the nearest name, and nothing is taken."""
    answer = kit.client.post("/api/v1/pictures", content=b"x", params={"model": "portrait"})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_model")
    assert "did you mean 'portraits'?" in answer.json()["detail"]
    assert kit.left() == []


def test_a_picture_that_is_tried_again_keeps_its_model(kit: Kit):
    """The row holds it, after the note is gone."""
    upload_id = kit.upload(b"bad", model="portraits", adjust_keep="largest")
    kit.wait(upload_id, "failed")
    kit.client.post(f"/api/v1/pictures/{upload_id}/retry")

    assert wait_for(lambda: len(kit.tasks) == 2)
    assert [task.model for task in kit.tasks] == ["portraits", "portraits"]
    assert kit.tasks[1].rendering.adjustments.keep == "largest"


def test_a_note_with_another_model_is_no_way_around(kit: Kit):
    """What is written into the folder is checked again."""
    staged = Staged(kit.uploads.resolve(), "a" * 22, "cat.jpg")
    staged.write(b"picture")
    staged.complete({"version": 1, "options": {"model": "../evil"}, "sha256": ""})
    staged.publish()
    kit.server.site.hint_upload("a" * 22, "cat.jpg")
    kit.wait("a" * 22, "failed")

    assert "model" in kit.client.get(f"/api/v1/pictures/{'a' * 22}").json()["reason"]
    assert kit.tasks == []
