"""From a matte to files: both of them, on colours and pictures, hashed and told of."""

import dataclasses
import hashlib
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cvunet.errors import VideoMissing
from cvunet.pictures import profiles
from cvunet.pictures.reading import Picture
from cvunet.video import av_library
from daemon.disk import checksums
from daemon.errors import InstallError, MachineError
from daemon.jobs import Task
from daemon.renderings import Adjustments, Framing, Rendering
from daemon.worker.clips import backgrounds
from daemon.worker.finishing import (
    Backgrounds,
    Finishing,
    check_backgrounds,
    finish_settings,
    write,
)
from tests.samples import RENDERING
from tests.service.test_clips import MP4, gif

SIZE = 64


def picture(level: int = 200) -> Picture:
    """A grey photo."""
    return Picture(np.full((SIZE, SIZE, 3), level, np.uint8), None, (), "PNG")


def left_half() -> Any:
    """A matte: the subject is on the left."""
    alpha = np.zeros((SIZE, SIZE), np.float32)
    alpha[:, : SIZE // 2] = 1
    return alpha


def rendering(**changes: Any) -> Rendering:
    """The default with changes."""
    return dataclasses.replace(RENDERING, **changes)


@pytest.fixture
def background(tmp_path: Path) -> Path:
    """A red picture."""
    path = tmp_path / "red.png"
    Image.new("RGB", (30, 90), (255, 0, 0)).save(path)
    return path


# --- pixels ------------------------------------------------------------------------------------


def test_both_gives_the_mask_of_the_cutout():
    """The very same alpha, framed alike: the margin is on the side that shows all of it."""
    framing = Framing(mode="subject", margin=0.1)
    result, mask, _ = Finishing().compose(
        picture(), left_half(), rendering(content="both", framing=framing)
    )

    assert mask is not None
    assert result.shape[:2] == mask.shape
    assert mask.shape == (SIZE, pytest.approx(SIZE / 2 / 0.9, abs=2))  # the edge is soft
    assert (result[..., 3] == mask).all()


def test_mask_stays_beside_a_flattened_result():
    """On a background the alpha would be lost otherwise."""
    result, mask, _ = Finishing().compose(
        picture(), left_half(), rendering(content="both", background=(9, 8, 7))
    )

    assert result.shape == (SIZE, SIZE, 3)
    assert mask is not None
    assert (int(mask[5, 5]), int(mask[5, -5])) == (255, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"framing": Framing(margin=0.2)},
        {"framing": Framing(mode="subject", canvas=(90, 90), aspect=1.0)},
        {"max_result_pixels": 900},
    ],
    ids=["whole", "padded", "canvas", "shrunk"],
)
def test_bleed_fills_all_that_is_transparent(changes: dict[str, Any]):
    """Also the space that framing adds, and a result that was made smaller or larger."""
    result = Finishing().compose(picture(), left_half(), rendering(bleed=True, **changes)).result
    hidden = result[..., 3] == 0

    assert hidden.any()
    assert (result[hidden][:, :3] == 200).all()


@pytest.mark.parametrize("content", ["cutout", "alpha"])
def test_one_file_needs_no_mask(content: Any):
    """Nothing is made that nobody gets."""
    assert Finishing().compose(picture(), left_half(), rendering(content=content)).mask is None


def test_background_picture_shows_behind_the_subject(background: Path):
    """It covers the canvas, also where that is larger than the photo."""
    framing = Framing(canvas=(90, 60), aspect=1.5)
    finishing = Finishing(backgrounds=Backgrounds([background]))
    result, _, _ = finishing.compose(
        picture(), left_half(), rendering(background=background, framing=framing)
    )

    assert result.shape == (60, 90, 3)
    assert result[30, 20].tolist() == [200, 200, 200]
    assert [result[30, column].tolist() for column in (2, 70, 88)] == [[255, 0, 0]] * 3


@pytest.mark.parametrize("kind", ["picture", "colour"])
def test_background_follows_the_photo(background: Path, kind: str):
    """It gets the photo's depth, and is the same red in the photo's wider space."""
    deep = Picture(
        rgb=np.full((SIZE, SIZE, 3), 40000, np.uint16),
        alpha=None,
        warnings=(),
        format="PNG",
        profile=profiles.adobe_rgb(),
    )
    finishing = Finishing(backgrounds=Backgrounds([background]))
    behind = background if kind == "picture" else (255, 0, 0)
    result, _, _ = finishing.compose(deep, left_half(), rendering(background=behind))

    assert result.dtype == np.uint16
    assert result[5, 5].tolist() == [40000] * 3
    assert (result[5, -5] // 257).tolist() == pytest.approx([219, 0, 0], abs=1)


def test_transparent_background_is_on_white(tmp_path: Path):
    """What a program has left under its alpha is seen by nobody."""
    path = tmp_path / "logo.png"
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[0] = (200, 0, 0, 255), (7, 8, 9, 0), (0, 0, 0, 128)
    Image.fromarray(pixels).save(path)

    found = Backgrounds([path]).pictures[path]

    assert found[0].tolist() == [[200, 0, 0], [255, 255, 255], [127, 127, 127]]


@pytest.mark.parametrize("content", [None, b"no picture"])
def test_wrong_background_is_told_at_start(tmp_path: Path, content: bytes | None):
    """Exit 78 with the file, not a failure of every picture."""
    path = tmp_path / "background.png"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(InstallError, match=r"background\.png.*correct output\.background"):
        check_backgrounds([path])


@pytest.mark.video
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp41", "cannot be read"),
        (None, "no regular file"),
    ],
)
def test_background_that_is_no_whole_clip(tmp_path: Path, content: bytes | None, reason: str):
    """The head of one alone, and a pipe: nothing waits for what is written into it."""
    path = tmp_path / "room.mp4"
    if content is None:
        os.mkfifo(path)
        with pytest.raises(InstallError, match=reason):
            backgrounds.first_frame(path)
        return
    path.write_bytes(content)

    with pytest.raises(InstallError, match=rf"room\.mp4 {reason}.*correct output\.background"):
        check_backgrounds([path])


@pytest.mark.parametrize("name", ["room.mp4", "room.gif"])
def test_moving_background_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    """A video file says what to install; an animated picture stands still."""

    def missing() -> None:
        raise VideoMissing("not installed")

    monkeypatch.setattr(av_library, "is_installed", lambda: False)
    monkeypatch.setattr(av_library, "load", missing)
    path = tmp_path / name
    path.write_bytes(gif(3) if name == "room.gif" else MP4)

    if name == "room.gif":
        found = Backgrounds([path])
        assert (found.clips, found.pictures[path].shape) == (set(), (8, 8, 3))
    else:
        with pytest.raises(InstallError, match=r"is a clip.*install cvunet-daemon\[video\]"):
            check_backgrounds([path])


def test_library_gets_its_share_of_the_settings():
    """Everything but what is done here."""
    settings = finish_settings(rendering(content="both", diameter=5, background=(1, 2, 3)))

    assert (settings.content, settings.diameter, settings.background) == ("cutout", 5, None)


# --- hashes ------------------------------------------------------------------------------------


def test_settings_hash_tells_settings_apart():
    """Equal ones give equal pixels; each one that changes them changes it."""
    finishing = Finishing(model={"input_size": 512})
    changed = [
        rendering(diameter=7),
        rendering(framing=Framing(margin=0.1)),
        rendering(background=(0, 0, 0)),
        rendering(adjustments=Adjustments(low=0.1)),
    ]
    hashes = {finishing.settings(one) for one in [RENDERING, *changed]}

    assert len(hashes) == len(changed) + 1
    assert finishing.settings(RENDERING) == finishing.settings(rendering())
    assert Finishing(model={"input_size": 320}).settings(RENDERING) not in hashes


def test_settings_hash_knows_the_background_by_its_content(background: Path):
    """Another picture under the same name gives other pixels."""
    wanted = rendering(background=background)
    before = Finishing(backgrounds=Backgrounds([background])).settings(wanted)
    same = Finishing(backgrounds=Backgrounds([background])).settings(wanted)
    Image.new("RGB", (30, 90), (0, 255, 0)).save(background)

    assert before == same != Finishing(backgrounds=Backgrounds([background])).settings(wanted)


@pytest.mark.parametrize("limit", [10**6, 10])
def test_source_is_hashed_as_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
):
    """In memory, or, if it is very large, before it is decoded; from its beginning either way."""
    monkeypatch.setattr(checksums, "WHOLE_BYTES", limit)
    content = bytes(range(256)) * 40
    path = tmp_path / "cat.jpg"
    path.write_bytes(content)
    with path.open("rb") as stream:
        stream.seek(5)
        source, digest = checksums.hashed(stream)
        read = source.read()

    assert (digest, read) == (hashlib.sha256(content).hexdigest(), content)
    assert isinstance(source, io.BytesIO) is (limit > len(content))


# --- files -------------------------------------------------------------------------------------


def task(tmp_path: Path, **changes: Any) -> Task:
    """One that wants both files."""
    part, alpha_part = tmp_path / ".1.part", tmp_path / ".1-alpha.part"
    wanted = rendering(content="both", **changes)
    return Task("1", tmp_path / "cat.jpg", part, wanted, 10**6, alpha_part=alpha_part)


def test_mask_of_a_jpeg_is_lossless(tmp_path: Path):
    """The result as it was asked for, the mask as PNG."""
    pixels = np.full((8, 8, 3), 90, np.uint8)
    write(task(tmp_path, format="jpeg"), picture(), pixels, pixels[..., 0])
    with Image.open(tmp_path / ".1.part") as result, Image.open(tmp_path / ".1-alpha.part") as mask:
        found = (result.format, mask.format, mask.mode)

    assert found == ("JPEG", "PNG", "L")


def test_no_mask_is_left_where_the_result_cannot_be_written(tmp_path: Path):
    """A folder in its place stands for a full disk."""
    (tmp_path / ".1.part").mkdir()
    pixels = np.full((8, 8, 3), 90, np.uint8)
    with pytest.raises((OSError, MachineError)):
        write(task(tmp_path), picture(), pixels, pixels[..., 0])

    assert not (tmp_path / ".1-alpha.part").exists()


@pytest.mark.parametrize("content", ["cutout", "alpha", "both"])
@pytest.mark.parametrize("background", [None, (1, 2, 3)])
def test_where_the_subject_is(content: str, background: tuple[int, int, int] | None):
    """In the result's pixels, also if nothing of its alpha is left in it."""
    wanted = rendering(content=content, background=background)
    composed = Finishing().compose(picture(), left_half(), wanted)
    height, width = composed.result.shape[:2]

    left, top, across, down = composed.foreground or (1, 1, 0, 0)
    assert (left, top, down) == (0, 0, height)
    assert across == pytest.approx(width / 2, abs=2)  # the edge is soft
