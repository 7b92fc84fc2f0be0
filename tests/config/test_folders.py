"""From configuration to hot folders: merged settings, absolute paths, checks between folders."""

import errno
import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from daemon.config import folders, shipped_files
from daemon.config.folders import hot_folders, parse_background, resolve
from daemon.config.models import find_weights
from daemon.config.output_schema import Output
from daemon.config.overrides import merged_output
from daemon.config.postprocess_schema import Postprocess
from daemon.config.schema import Config, Folder
from daemon.errors import InstallError, MachineError
from daemon.jobs import HotFolder


def configured(**content: Any) -> Config:  # Any: YAML
    """A configuration as if it had been read from a file."""
    return Config.model_validate(content)


def only_folder(base: Path, **content: Any) -> HotFolder:  # Any: YAML
    """The one hot folder of a configuration, made on disk before."""
    (base / "hot").mkdir(exist_ok=True)
    (folder,) = hot_folders(configured(**content), base)
    return folder


def fault(base: Path, **content: Any) -> str:  # Any: YAML
    """What is wrong with a configuration's folders."""
    with pytest.raises(InstallError) as caught:
        hot_folders(configured(**content), base)
    return str(caught.value)


# --- values ----------------------------------------------------------------------------------


def test_defaults_reach_the_folder(tmp_path: Path):
    """Nothing set: the folder is that of the contract."""
    folder = only_folder(tmp_path)

    assert tmp_path / "hot" == folder.path
    assert tmp_path / "outputs" == folder.output_root
    assert (
        folder.name,
        folder.settle_s,
        folder.defer_s,
        folder.drop_idle_s,
        folder.drop_max_files,
        folder.name_template,
    ) == ("hot", 2.0, 120.0, 30.0, 1000, "{stem}")


def test_name_comes_from_the_path(tmp_path: Path):
    """A folder without a name is called after its last part."""
    assert only_folder(tmp_path, folders=[{"path": "../" + tmp_path.name + "/hot"}]).name == "hot"


def test_common_output_counts(tmp_path: Path):
    """What a folder leaves out comes from the common section."""
    folder = only_folder(tmp_path, output={"format": "webp"}, folders=[{"path": "hot"}])

    assert folder.rendering.format == "webp"


def test_folders_own_output_comes_first(tmp_path: Path):
    """And leaves the common section's other keys in force."""
    own = {"path": "hot", "output": {"format": "tiff", "root": "own"}}
    folder = only_folder(tmp_path, output={"format": "webp", "name": "x"}, folders=[own])

    assert ("tiff", tmp_path / "own", "x") == (
        folder.rendering.format,
        folder.output_root,
        folder.name_template,
    )


def test_own_value_that_equals_a_default_counts(tmp_path: Path):
    """Written is written: png here beats webp above, though png is the default."""
    own = {"path": "hot", "output": {"format": "png"}}
    folder = only_folder(tmp_path, output={"format": "webp"}, folders=[own])

    assert folder.rendering.format == "png"


def test_null_background_makes_one_folder_transparent(tmp_path: Path):
    """Null is a value of this key."""
    own = {"path": "hot", "output": {"background": None}}
    folder = only_folder(tmp_path, output={"background": "#ff0000"}, folders=[own])

    assert folder.rendering.background is None


def test_null_elsewhere_means_left_out(tmp_path: Path):
    """A key that is written without a value is no value of None."""
    own = {"path": "hot", "output": {"root": None, "format": None, "name": None}}
    folder = only_folder(tmp_path, folders=[own])

    assert (tmp_path / "outputs", "png", "{stem}") == (
        folder.output_root,
        folder.rendering.format,
        folder.name_template,
    )


def test_postprocess_reaches_the_rendering(tmp_path: Path):
    """The worker gets numbers, not the configuration."""
    said = {
        "kernel": "cubic",
        "filter": "joint",
        "diameter": 5,
        "decontaminate": False,
        "colours": "refine",
    }

    rendering = only_folder(tmp_path, postprocess=said).rendering

    assert said == {name: getattr(rendering, name) for name in said}


def test_bleed_reaches_the_rendering(tmp_path: Path):
    """Of the common section; off unless it is asked for."""
    asked = only_folder(tmp_path, output={"bleed": True}).rendering

    assert (asked.bleed, only_folder(tmp_path).rendering.bleed) == (True, False)


def test_no_colour():
    """Null stays transparent."""
    assert parse_background(Path("/base"), None) is None


def test_colour_is_red_green_blue():
    """In this order, 0 to 255."""
    assert parse_background(Path("/base"), "#Ff8143") == (255, 129, 67)


def test_jpeg_gets_white(tmp_path: Path):
    """It has no transparency."""
    assert only_folder(tmp_path, output={"format": "jpeg"}).rendering.background == (255, 255, 255)


def test_jpeg_keeps_a_background(tmp_path: Path):
    """Black is a colour too, though its numbers are all zero."""
    output = {"format": "jpeg", "background": "#000000"}

    assert only_folder(tmp_path, output=output).rendering.background == (0, 0, 0)


def test_jpeg_of_a_mask_has_no_background(tmp_path: Path):
    """A mask is grey already."""
    output = {"format": "jpeg", "content": "alpha"}

    assert only_folder(tmp_path, output=output).rendering.background is None


def test_home_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """~ is what people write."""
    monkeypatch.setenv("HOME", str(tmp_path))

    assert tmp_path / "hot" == resolve(Path("/"), Path("~/hot"))


def test_links_are_followed(tmp_path: Path):
    """Two names of one place compare equal."""
    (tmp_path / "link").symlink_to("hot")

    assert tmp_path / "hot" == resolve(tmp_path, Path("link"))


@pytest.mark.parametrize("path", ["~no-such-user/hot", "circle/hot", "a\0b"])
def test_path_that_leads_nowhere(tmp_path: Path, path: str):
    """No traceback; Python 3.13 follows a circle as far as it goes, so the folder is missing."""
    (tmp_path / "circle").symlink_to("circle")

    assert fault(tmp_path, folders=[{"path": path}]).startswith(("path ", "folder "))


# --- weights ---------------------------------------------------------------------------------


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A base, a source tree and an installation in which weights may lie."""
    file = tmp_path / "source" / "daemon" / "config" / "shipped_files.py"
    monkeypatch.setattr(shipped_files, "__file__", str(file))
    monkeypatch.setattr(sysconfig, "get_path", lambda *names: str(tmp_path / "other"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    return tmp_path


def put_weights(root: Path) -> Path:
    """A stand-in for the weights below a root."""
    path = root / "models" / "cvunet.pth"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def test_weights_beside_the_configuration_come_first(places: Path):
    """As written."""
    put_weights(places / "source")
    expected = put_weights(places / "base")

    assert expected == find_weights(Config(), places / "base")


def test_weights_of_the_source_tree_come_second(places: Path):
    """A checkout runs as it is."""
    put_weights(places / "prefix" / "share" / "cvunetd")
    expected = put_weights(places / "source")

    assert expected == find_weights(Config(), places / "base")


def test_installed_weights_come_last(places: Path):
    """The wheel brings them below the prefix."""
    expected = put_weights(places / "prefix" / "share" / "cvunetd")

    assert expected == find_weights(Config(), places / "base")


def test_missing_weights_are_told_as_written(places: Path):
    """The path in the error is the one to mend."""
    assert places / "base" / "models" / "cvunet.pth" == find_weights(Config(), places / "base")


def test_named_weights_are_not_replaced(places: Path):
    """Who names weights wants those or an error."""
    put_weights(places / "source")
    config = configured(model={"weights": "mine.pth"})

    assert places / "base" / "mine.pth" == find_weights(config, places / "base")


# --- permissions -----------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize(
    ("originals", "mode", "word"),
    [("archive", 0o500, "written"), ("delete", 0o500, "written"), ("keep", 0o000, "read")],
)
def test_closed_folder(tmp_path: Path, originals: str, mode: int, word: str):
    """Told before the first picture, with what to do."""
    (tmp_path / "hot").mkdir(mode=mode)

    told = fault(tmp_path, folders=[{"path": "hot", "originals": originals}])

    assert f"folder {tmp_path}/hot may not be {word} by this user: change its owner" in told


@pytest.mark.parametrize(
    ("originals", "allowed", "word"),
    [("archive", os.R_OK | os.X_OK, "written"), ("keep", 0, "read")],
)
def test_closed_folder_as_the_system_tells_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, originals: str, allowed: int, word: str
):
    """The same for root, whom no mode stops."""
    (tmp_path / "hot").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & ~allowed)

    told = fault(tmp_path, folders=[{"path": "hot", "originals": originals}])

    assert f"folder {tmp_path}/hot may not be {word} by this user" in told


def test_read_only_place_names_the_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Under systemd everything is read-only that the unit does not name."""
    (tmp_path / "hot").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    flags = os.statvfs_result((0,) * 8 + (os.ST_RDONLY, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: flags)

    expected = (
        f"folder {tmp_path}/hot is read-only: under systemd add the folder to ReadWritePaths="
    )
    assert fault(tmp_path).startswith(expected)
    assert "`cvunetd systemd-paths`" in fault(tmp_path)


def test_folder_that_may_not_be_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One of mode 0700 of somebody else: its own mode is told, not that of the folders above."""
    hot = tmp_path / "hot"
    hot.mkdir()
    look = Path.is_symlink

    def refuse(path: Path) -> bool:
        if path.is_relative_to(hot) and path != hot:
            raise PermissionError(13, "Permission denied", str(path))
        return look(path)

    monkeypatch.setattr(Path, "is_symlink", refuse)
    monkeypatch.setattr(os, "access", lambda path, mode: False)

    assert f"folder {hot} may not be written by this user: change its owner" in fault(tmp_path)


@pytest.mark.parametrize("state", ["taken", "taken/state"])
def test_state_folder_that_is_a_file(tmp_path: Path, state: str):
    """Told by a check, and not only when the daemon starts."""
    (tmp_path / "hot").mkdir()
    (tmp_path / "taken").write_text("a file")

    told = f"state_dir {tmp_path}/{state} cannot be a folder: {tmp_path}/taken is a file"
    assert fault(tmp_path, state_dir=state).startswith(told)


def test_folder_below_a_closed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Told with what may be the reason, not with a traceback."""
    (tmp_path / "hot").mkdir()

    def refuse(path: Path, mode: int) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "access", refuse)

    expected = f"folder {tmp_path}/hot cannot be entered (Permission denied): correct the modes"
    assert fault(tmp_path).startswith(expected)
    assert "`cvunetd systemd-paths`" in fault(tmp_path)


def test_kept_originals_need_no_right_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A read-only share can be a hot folder."""
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)

    assert only_folder(tmp_path, folders=[{"path": "hot", "originals": "keep"}]).originals == "keep"


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.EHOSTDOWN, errno.ETIMEDOUT])
def test_a_share_that_is_down_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
):
    """It passes: systemd shall try again, which it does not after a fault of configuration."""
    real = Path.stat

    def down(path: Path, **options: Any) -> os.stat_result:
        if path == tmp_path / "hot":
            raise OSError(number, os.strerror(number), str(path))
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", down)

    with pytest.raises(MachineError, match="hot"):
        hot_folders(Config(), tmp_path)


@pytest.mark.parametrize("kind", ["webp", "avif", "jpeg"])
def test_16_bits_need_a_format_that_has_them(kind: str):
    """Told before anything starts, with both ways out."""
    with pytest.raises(InstallError, match=r"output\.depth is 16, and output\.format " + kind):
        folders.rendering(Path(), Output(depth=16, format=kind), Postprocess())  # type: ignore[arg-type]


def test_depth_and_metadata_are_each_folders_own():
    """A folder's own values over the common ones."""
    config = Config.model_validate({"output": {"depth": 8, "metadata": "copyright"}})
    own = Folder.model_validate({"path": "hot", "output": {"depth": 16, "metadata": "keep"}})

    post = config.postprocess
    common = folders.rendering(Path(), config.output, post)
    changed = folders.rendering(Path(), merged_output(config, own.output), post)

    assert (common.depth, common.metadata) == (8, "copyright")
    assert (changed.depth, changed.metadata) == (16, "keep")
