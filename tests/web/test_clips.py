"""Clips by HTTP: sent, asked for, fetched, and refused where a client would wait."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.clips import ClipProgress
from daemon.config import video
from tests.service.test_clips import MP4, gif
from tests.web.web_kit import Kit, running, wait_for

pytestmark = pytest.mark.web
V1 = "/api/v1"


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with the extra: nothing here reads or writes clips in earnest."""
    monkeypatch.setattr(video, "is_installed", lambda: True)


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """Daemon and server."""
    with running(Kit(tmp_path, settings={"output": {"drop_idle_s": 600}})) as kit:
        yield kit


def test_clip_becomes_its_result(kit: Kit):
    """It is taken with 202, and comes back with the type of its own."""
    answer = kit.client.post(f"{V1}/pictures", files={"image": ("cat.mp4", MP4)})
    [taken] = answer.json()["pictures"]
    kit.wait(taken["id"])
    result = kit.client.get(f"{V1}/pictures/{taken['id']}/result")

    assert answer.status_code == 202
    assert result.headers["content-type"] == "video/webm"
    assert 'filename="cat.webm"' in result.headers["content-disposition"]
    assert result.content == MP4
    assert kit.tasks[0].clip is not None
    assert kit.client.get(f"{V1}/pictures/{taken['id']}/thumbnail").status_code == 422


@pytest.mark.parametrize("path", [f"{V1}/cutouts", "/v1.0/removebg", "/api/remove"])
def test_client_that_waits_gets_no_clip(kit: Kit, path: str):
    """It is refused at once, with what to do, and leaves no trace."""
    field = {"/v1.0/removebg": "image_file", "/api/remove": "file"}.get(path, "image")
    answer = kit.client.post(path, files={field: ("cat.mp4", MP4)})

    assert answer.status_code == 415
    assert "POST /api/v1/pictures" in answer.text
    assert wait_for(lambda: kit.left() == [])
    assert kit.tasks == []


def test_client_may_wait_for_a_small_animation(kit: Kit):
    """It is made in time on most machines."""
    answer = kit.client.post(f"{V1}/cutouts", files={"image": ("cat.gif", gif(3))})

    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")


def test_progress_is_told(tmp_path: Path):
    """Of the clip itself, and in the status of the daemon."""
    with running(Kit(tmp_path, is_held=True)) as kit:
        upload_id = kit.upload(MP4)
        assert wait_for(lambda: kit.engine.held)
        [(task, _)] = kit.engine.held
        kit.engine.clips[task.job_id] = ClipProgress(96, 200, 9.5, 10.9)

        def told() -> object:
            return kit.client.get(f"{V1}/pictures/{upload_id}").json().get("progress")

        assert wait_for(told)
        assert told() == {"frames": 96, "total": 200, "frames_per_s": 9.5, "left_s": 10.9}
        [clip] = kit.client.get(f"{V1}/status").json()["clips"]
        assert (clip["folder"], clip["frames"]) == ("web", 96)
        kit.engine.clips.clear()
        kit.engine.run_held()
        kit.wait(upload_id)
