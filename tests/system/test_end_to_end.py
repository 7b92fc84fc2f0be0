"""The real daemon with the real weights: photos in, cut-outs out."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image

from tests.system.daemon_process import SETTINGS, WEIGHTS, Daemon, call, wait_for

pytestmark = pytest.mark.timeout(400)

PHOTOS = Path(skimage.__file__).parent / "data"
#: Photo, a point inside its subject and one outside, as shares of width and height.
SUBJECTS = {
    "astronaut.png": ((0.45, 0.35), (0.03, 0.03)),
    "coffee.png": ((0.48, 0.45), (0.02, 0.98)),
    "chelsea.png": ((0.45, 0.5), (0.98, 0.03)),
    "rocket.jpg": ((0.5, 0.75), (0.4, 0.2)),
}


def copy_slowly(source: Path, target: Path) -> None:
    """Write in pieces, as a slow network does, with pauses shorter than the settle time."""
    data = source.read_bytes()
    with target.open("wb") as stream:
        for start in range(0, len(data), len(data) // 5 + 1):
            stream.write(data[start : start + len(data) // 5 + 1])
            stream.flush()
            time.sleep(0.3)


def drop_four_ways(hot: Path, elsewhere: Path) -> None:
    """Slow write, rename in, copy of a tree, hard link."""
    copy_slowly(PHOTOS / "astronaut.png", hot / "astronaut.png")
    shutil.copy(PHOTOS / "coffee.png", elsewhere / "coffee.png")
    (elsewhere / "coffee.png").rename(hot / "coffee.png")
    tree = elsewhere / "tree" / "inner"
    tree.mkdir(parents=True)
    shutil.copy(PHOTOS / "chelsea.png", tree)
    shutil.copytree(elsewhere / "tree", hot / "tree")
    shutil.copy(PHOTOS / "rocket.jpg", elsewhere / "rocket.jpg")
    os.link(elsewhere / "rocket.jpg", hot / "rocket.jpg")


def digest(path: Path) -> str:
    """Hash of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def alpha_at(cutout: Image.Image, point: tuple[float, float]) -> int:
    """Mean alpha of a small square round a point given in shares of the size."""
    alpha = np.asarray(cutout.getchannel("A"))
    row, column = round(point[1] * alpha.shape[0]), round(point[0] * alpha.shape[1])
    square = alpha[max(row - 4, 0) : row + 5, max(column - 4, 0) : column + 5]
    return round(float(square.mean()))


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A running daemon, warm; killed at the end if the test has not ended it."""
    life = Daemon(tmp_path)
    life.wait_ready()
    yield life
    life.kill()


def test_photos_dropped_in_four_ways_become_cut_outs(daemon: Daemon, tmp_path: Path) -> None:
    """The main job, whole: cut-outs, archive, manifest, SIGTERM."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    drop_four_ways(daemon.hot, elsewhere)
    expected = {"astronaut.png", "coffee.png", "tree/inner/chelsea.png", "rocket.png"}
    came = wait_for(lambda: daemon.results() >= expected)
    status = daemon.terminate()

    assert came, daemon.told()
    assert (status, daemon.results()) == (0, expected), daemon.told()
    [drop] = daemon.drops()
    for name, (inside, outside) in SUBJECTS.items():
        relative = Path("tree/inner" if name == "chelsea.png" else "") / name
        with (
            Image.open(drop / relative.with_suffix(".png")) as cutout,
            Image.open(PHOTOS / name) as photo,
        ):
            assert (cutout.size, cutout.mode) == (photo.size, "RGBA")
            assert cutout.getchannel("A").getextrema() == (0, 255), name
            assert alpha_at(cutout, inside) > 200, name
            assert alpha_at(cutout, outside) < 55, name
        assert digest(drop / "originals" / relative) == digest(PHOTOS / name)
    check_manifest(drop)
    left = sorted(path.name for path in daemon.hot.rglob("*") if path.is_file())
    assert left == ["canary", "lock"]  # of `.cvunetd`, both ours


def check_manifest(drop: Path) -> None:
    """Every entry names files that exist and sizes that are true."""
    manifest = json.loads((drop / "manifest.json").read_text())
    assert len(manifest["pictures"]) == len(SUBJECTS)
    for picture in manifest["pictures"]:
        with Image.open(drop / picture["result"]) as cutout:
            assert cutout.size == (picture["width"], picture["height"])
        assert (drop / picture["original"]).is_file()
        assert picture["state"] == "done"


def test_bad_input_ends_in_quarantine_and_stops_nothing(daemon: Daemon) -> None:
    """Text, empty, truncated, tiny, huge, odd names: nothing vanishes."""
    photo = (PHOTOS / "rocket.jpg").read_bytes()
    bad = {
        b"text.jpg": b"this is no picture",
        b"empty.jpg": b"",
        b"cut.jpg": photo[: len(photo) // 2],
    }
    good = [b"a b.jpg", 'it\'s "猫".jpg'.encode(), b"\xff\xfe.jpg", b"-rf.jpg", b"new\nline.jpg"]
    for name, content in {**bad, **dict.fromkeys(good, photo)}.items():
        (daemon.hot / os.fsdecode(name)).write_bytes(content)
    Image.new("RGB", (1, 1), "red").save(daemon.hot / "tiny.png")
    # It takes seconds to write on a busy machine, and stays empty until then.
    Image.new("L", (20_000, 6_000)).save(daemon.base / "huge.png")
    (daemon.base / "huge.png").rename(daemon.hot / "huge.png")

    came = wait_for(
        lambda: len(daemon.results()) == len(good) + 1 and len(daemon.quarantined()) == len(bad) + 1
    )

    assert came, daemon.told()
    assert daemon.quarantined() == {"text.jpg", "empty.jpg", "cut.jpg", "huge.png"}
    reason = json.loads((daemon.base / "failed/hot/huge.png.json").read_text())["reason"]
    assert "120 megapixels" in reason
    assert "max_megapixels" in reason
    assert daemon.terminate() == 0


def test_a_killed_daemon_loses_and_repeats_nothing(tmp_path: Path) -> None:
    """kill -9 in the middle of twenty photos; the next life finishes."""
    first = Daemon(tmp_path)
    first.wait_ready()
    contents = set()
    for number in range(20):
        path = first.hot / f"{number:02}.png"
        shutil.copy(PHOTOS / "coffee.png", path)
        with path.open("ab") as stream:
            stream.write(b"%d" % number)  # after the end of the picture: makes each one unique
        contents.add(digest(path))
    assert wait_for(lambda: len(first.results()) >= 5), first.told()
    first.kill()

    second = Daemon(tmp_path)
    names = {f"{number:02}.png" for number in range(20)}
    came = wait_for(lambda: second.results() >= names)
    status = second.terminate()

    originals = [path for drop in second.drops() for path in drop.glob("originals/*")]
    assert came, second.told()
    assert (status, second.results()) == (0, names)
    assert sorted(map(digest, originals)) == sorted(contents)


def test_batch_resumes_after_a_kill(tmp_path: Path) -> None:
    """`cvunetd batch` mirrors the tree, repeats nothing and leaves the originals."""
    source = tmp_path / "in" / "sub"
    source.mkdir(parents=True)
    for number in range(6):
        shutil.copy(PHOTOS / "coffee.png", source / f"{number}.png")
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({"model": SETTINGS["model"]}))
    arguments = ("batch", tmp_path / "in", tmp_path / "out", "--config", config)

    first = call(tmp_path, *arguments)
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/sub").glob("*.png")}
    gone = tmp_path / "out/sub/3.png"
    gone.unlink()
    second = call(tmp_path, *arguments)

    again = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/sub").glob("*.png")}
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert len(made) == 6
    assert {path for path in made if made[path] != again[path]} == {gone}
    assert len(list(source.glob("*.png"))) == 6


def test_once_processes_what_is_there_and_ends(tmp_path: Path) -> None:
    """The cron way; exit 1 tells that a picture failed."""
    hot = tmp_path / "hot"
    hot.mkdir()
    shutil.copy(PHOTOS / "coffee.png", hot)
    (hot / "text.jpg").write_text("no picture")
    os.utime(hot / "text.jpg", (1_000_000_000, 1_000_000_000))
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps(SETTINGS))

    ended = call(tmp_path, "once", "--config", config)

    assert ended.returncode == 1, ended.stderr
    assert len(list(tmp_path.glob("outputs/*/coffee.png"))) == 1
    assert (tmp_path / "failed/hot/text.jpg").exists()


def test_cut_writes_single_pictures(tmp_path: Path) -> None:
    """`cvunetd cut` into a folder; a missing file is told and exits 1, the rest is done."""
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({"model": SETTINGS["model"]}))

    ended = call(
        tmp_path, "cut", PHOTOS / "coffee.png", "missing.jpg", "-o", "out", "--config", config
    )

    assert ended.returncode == 1
    assert "missing.jpg" in ended.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["coffee.png"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": {"weights": "none.pth"}}, "none.pth"),
        ({"outputt": {}}, "did you mean 'output'"),
        ({"output": {"root": "hot/out"}}, "move it out"),
        ({"folders": [{"path": "nowhere"}]}, "does not exist"),
    ],
)
def test_a_wrong_installation_exits_78_with_a_line(
    tmp_path: Path, change: dict[str, object], told: str
) -> None:
    """systemd must not restart what a person has to mend."""
    (tmp_path / "hot").mkdir()
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps(SETTINGS | change))

    ended = call(tmp_path, "run", "--config", config)

    assert ended.returncode == 78
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_altered_weights_are_refused(tmp_path: Path) -> None:
    """One byte changed: exit 78 with the expected hash."""
    (tmp_path / "hot").mkdir()
    data = bytearray(WEIGHTS.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "cvunet.pth").write_bytes(data)
    shutil.copy(WEIGHTS.with_name("manifest.yaml"), tmp_path)
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps(SETTINGS | {"model": {"weights": "cvunet.pth"}}))

    ended = call(tmp_path, "run", "--config", config)

    assert ended.returncode == 78
    assert digest(WEIGHTS) in ended.stderr
