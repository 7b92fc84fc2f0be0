"""The real daemon, clips and disks that are really full: it waits, says why, and loses nothing."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.system.daemon_process import Daemon, call, wait_for
from tests.system.test_clips_process import results, segments
from tests.torture.daemons import MODEL, folder_settings
from tests.torture.mounts import fill, mounted_tmpfs
from tests.torture.photos import Stock
from tests.worker import clips_kit

pytestmark = [
    pytest.mark.video,
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.timeout(600),
]
#: Three segments of 96, so that there is a middle.
FRAMES = 220
FULL = "No space left on device"
PATIENCE_S = 250.0
Mount = Callable[[Path, str], Path]


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mounts small file systems in memory, until the test ends."""
    with ExitStack() as mounted:

        def mount(place: Path, size: str) -> Path:
            place.mkdir(parents=True)
            mounted.enter_context(mounted_tmpfs(place, size))
            return place

        yield mount


def start(base: Path) -> Daemon:
    """A daemon with a folder for clips, and another one whose output is on another disk."""
    for name in ("mixed", "other"):
        (base / "hot" / name).mkdir(parents=True, exist_ok=True)
    clips = folder_settings("mixed", video="cut", settle_s=0.5)
    clips["output"] = {"root": "outputs/mixed", "video": {"format": "mov-qtrle"}}
    folders = [clips, folder_settings("other", settle_s=0.5)]
    return Daemon(base, {"folders": folders, "retention": {"min_free_mb": 0}} | MODEL)


def drop_clip(base: Path) -> None:
    """A clip of noise: its segments take some megabytes."""
    clip = clips_kit.write_clip(base / "clip.mp4", frames=FRAMES, width=320, height=240)
    clip.rename(base / "hot" / "mixed" / "clip.mp4")


def stands_by(daemon: Daemon) -> bool:
    """Whether the folder of clips waits, by the log and by `cvunetd status`."""
    return "folder mixed stands by" in daemon.told()


def is_torn(base: Path) -> bool:
    """Whether something of a result has a name already."""
    return bool(results(base, "clip*"))


@pytest.mark.parametrize(
    "moment", [pytest.param("in the middle", marks=pytest.mark.whole), "while it is joined"]
)
def test_full_output_disk(tmp_path: Path, mount: Mount, moment: str):
    """Finished segments stay; pictures of another folder go on; it resumes when there is room."""
    outputs = mount(tmp_path / "outputs" / "mixed", "40M")
    photo = Stock(tmp_path / "stock").photo()
    daemon = start(tmp_path)
    try:
        daemon.wait_ready()
        drop_clip(tmp_path)
        assert wait_for(lambda: bool(segments(tmp_path)), patience_s=PATIENCE_S), daemon.told()
        sizes = [path.stat().st_size for path in outputs.rglob("*.segment")]
        # The rest of the segments has room, the whole beside them has not.
        left_bytes = 0 if moment == "in the middle" else 2 * max(sizes)
        filler = fill(outputs, left_bytes=left_bytes)
        assert wait_for(lambda: stands_by(daemon), patience_s=PATIENCE_S), daemon.told()
        photo.rename(tmp_path / "hot" / "other" / "photo.png")
        assert wait_for(lambda: bool(list((tmp_path / "outputs" / "other").glob("*/photo.png")))), (
            daemon.told()
        )
        # It tries again now and then, and rests longer each time.
        assert wait_for(lambda: FULL in call(tmp_path, "status").stdout, patience_s=PATIENCE_S), (
            daemon.told()
        )
        kept = segments(tmp_path)
        assert not is_torn(tmp_path)
        filler.unlink()
        assert wait_for(lambda: is_torn(tmp_path), patience_s=PATIENCE_S), daemon.told()
        assert daemon.terminate() == 0
    finally:
        daemon.kill()

    [result] = results(tmp_path, "clip.mov")
    assert kept
    assert len(clips_kit.decoded(result)) == FRAMES
    assert daemon.quarantined() == set()
    assert [path.name for path in outputs.rglob(".*.*") if path.name != ".cvunetd-drop"] == []


def test_full_state_disk(tmp_path: Path, mount: Mount):
    """The clip goes on meanwhile; its end is written down when there is room, and it comes once."""
    state = mount(tmp_path / "state", "8M")
    daemon = start(tmp_path)
    try:
        daemon.wait_ready()
        drop_clip(tmp_path)
        assert wait_for(lambda: bool(segments(tmp_path)), patience_s=PATIENCE_S), daemon.told()
        filler = fill(state)
        # Something has to be written: a picture that comes now.
        Stock(tmp_path / "stock").photo().rename(tmp_path / "hot" / "other" / "photo.png")
        assert wait_for(lambda: stands_by(daemon), patience_s=PATIENCE_S), daemon.told()
        assert not is_torn(tmp_path)
        filler.unlink()
        assert wait_for(lambda: is_torn(tmp_path), patience_s=PATIENCE_S), daemon.told()
        assert wait_for(lambda: bool(list((tmp_path / "outputs" / "other").glob("*/photo.png")))), (
            daemon.told()
        )
        assert daemon.terminate() == 0
    finally:
        daemon.kill()

    [result] = results(tmp_path, "clip*")
    assert len(clips_kit.decoded(result)) == FRAMES
    assert daemon.quarantined() == set()
