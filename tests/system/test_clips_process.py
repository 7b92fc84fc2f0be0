"""The real daemon and clips: beside pictures, stopped, and told of."""

import json
import time
from pathlib import Path

import pytest

from tests.system.daemon_process import Daemon, call, wait_for
from tests.system.test_web_process import ask, free_port
from tests.torture.daemons import MODEL, folder_settings
from tests.torture.photos import Stock
from tests.worker import clips_kit

pytestmark = pytest.mark.video
FRAMES = 400


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_clip_beside_pictures_and_across_a_stop(tmp_path: Path):
    """Pictures come out while it is in work, status tells how far it is, SIGTERM loses nothing."""
    folder = folder_settings("mixed", video="cut", settle_s=0.5)
    folder["output"] = {"root": "outputs/mixed", "video": {"format": "mov-qtrle"}}
    hot = tmp_path / "hot" / "mixed"
    hot.mkdir(parents=True)
    settings = {"folders": [folder]} | MODEL
    clip = clips_kit.write_clip(tmp_path / "clip.mp4", frames=FRAMES, width=320, height=240)
    photo = Stock(tmp_path / "stock").photo()
    daemon = Daemon(tmp_path, settings)
    try:
        daemon.wait_ready()
        clip.rename(hot / "clip.mp4")
        assert wait_for(lambda: "frames/s" in call(tmp_path, "status").stdout), daemon.told()
        photo.rename(hot / "photo.png")
        assert wait_for(lambda: bool(results(tmp_path, "photo.png"))), daemon.told()
        assert not results(tmp_path, "clip.mov")
        assert wait_for(lambda: bool(segments(tmp_path))), daemon.told()
        assert daemon.terminate() == 0
        told = call(tmp_path, "why", hot / "clip.mp4").stdout
        assert "frames in" in told, told
        daemon = Daemon(tmp_path, settings)
        daemon.wait_ready()
        assert wait_for(lambda: bool(results(tmp_path, "clip.mov")), patience_s=200), daemon.told()
        assert daemon.terminate() == 0
    finally:
        daemon.kill()

    [result] = results(tmp_path, "clip.mov")
    assert len(clips_kit.decoded(result)) == FRAMES
    entries = json.loads((result.parent / "manifest.json").read_text())["pictures"]
    [entry] = [one for one in entries if "clip" in one]
    assert entry["clip"]["frames"] == FRAMES
    assert entry["clip"]["kept_segments"] >= 1
    assert entry["attempts"] == 1
    assert segments(tmp_path) == []


@pytest.mark.web
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("what", ["picture", "drop"])
def test_clip_in_work_is_deleted_by_the_api(tmp_path: Path, what: str):
    """Its process ends within seconds, nothing of it is left, and the next one gets its place."""
    (tmp_path / "uploads").mkdir()
    port = free_port()
    root = f"http://127.0.0.1:{port}/api/v1"
    url = f"{root}/pictures"
    web = {"listen": f"127.0.0.1:{port}", "folder": "uploads"}
    output = {"drop_idle_s": 600, "video": {"format": "mov-qtrle"}}
    long, short = (
        clips_kit.write_clip(tmp_path / f"{name}.mp4", frames=frames, width=320, height=240)
        for name, frames in (("long", 2000), ("short", 5))
    )
    daemon = Daemon(tmp_path, {"web": web, "output": output} | MODEL)
    try:
        daemon.wait_ready()
        sent = ask("POST", url, files={"image": ("long.mp4", long.read_bytes())})
        [upload] = sent.json()["pictures"]
        assert wait_for(lambda: bool(left(tmp_path))), daemon.told()
        victim = f"{url}/{upload['id']}" if what == "picture" else f"{root}/drops/1"
        assert ask("DELETE", victim).status_code == 202
        began = time.monotonic()
        assert wait_for(lambda: not left(tmp_path)), daemon.told()
        seconds = time.monotonic() - began
        ask("POST", url, files={"image": ("short.mp4", short.read_bytes())})
        assert wait_for(lambda: bool(list(tmp_path.glob("outputs/*/short.mov")))), daemon.told()
        assert ask("GET", f"{url}/{upload['id']}").status_code == 404
        assert daemon.terminate() == 0
    finally:
        daemon.kill()

    assert seconds < 20  # two on a machine that has time
    assert not list(tmp_path.glob("outputs/*/long*"))
    assert not list(tmp_path.rglob("*long.mp4*"))[1:]  # but for the one that was sent
    assert daemon.quarantined() == set()


def left(base: Path) -> list[Path]:
    """Segments and notes of clips, and unfinished results."""
    return [
        path
        for path in (base / "outputs").rglob(".*")
        if path.suffix in (".segment", ".clip", ".part")
    ]


def results(base: Path, name: str) -> list[Path]:
    """A result in any drop."""
    return list((base / "outputs").glob(f"mixed/outputs_*/{name}"))


def segments(base: Path) -> list[Path]:
    """Finished segments: those that a note names, so the second file means one of them."""
    return list((base / "outputs").rglob(".*.000001.segment"))
