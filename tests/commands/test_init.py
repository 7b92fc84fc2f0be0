"""`cvunetd init`: something to begin with, and nothing that exists is touched."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.commands import check_config
from daemon.commands.init import init
from daemon.commands.startup import prepare
from daemon.config import folders, shipped_files
from daemon.config.models import find_weights
from daemon.config.schema import Config, load
from daemon.errors import InstallError
from tests.samples import names_in

ROOT = Path(__file__).parents[2]


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "daemon", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_it_makes_what_a_start_needs(tmp_path: Path):
    """The shipped configuration with its comments, the hot folder, the place for results."""
    told = list(init(tmp_path / "new/cutouts"))
    place = tmp_path / "new/cutouts"

    assert names_in(place) == ["config.yaml", "hot", "outputs"]
    assert (place / "config.yaml").read_text() == (ROOT / "config.yaml").read_text()
    config, base = load(place / "config.yaml")
    assert (config, base) == (Config(), place)
    assert [folder.path for folder in folders.hot_folders(config, base)] == [place / "hot"]
    assert any(f"{place}/hot: drop pictures here" in line for line in told)
    assert any(f"cvunetd run --config {place}/config.yaml" in line for line in told)


def test_its_weights_are_those_of_the_program(tmp_path: Path):
    """Though there is no folder models/ beside the new file."""
    list(init(tmp_path))
    config, base = load(tmp_path / "config.yaml")

    assert find_weights(config, base) == shipped_files.find(Path("models/cvunet.pth"))
    assert any(
        line.startswith("weights: ") for line in check_config.lines(tmp_path / "config.yaml")
    )


def test_a_wheel_has_its_files_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Below the environment's own folder, where setup.cfg puts them."""
    shared = tmp_path / "venv/share/cvunetd"
    shared.mkdir(parents=True)
    (shared / "config.yaml").write_text("# of the wheel\n")
    monkeypatch.setattr(
        shipped_files, "__file__", str(tmp_path / "site-packages/daemon/config/x.py")
    )
    monkeypatch.setattr("sys.prefix", str(tmp_path / "venv"))
    list(init(tmp_path / "new"))

    assert (tmp_path / "new/config.yaml").read_text() == "# of the wheel\n"
    assert "share/cvunetd =\n    config*.yaml" in (ROOT / "setup.cfg").read_text()


def test_sample_that_was_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A person has to install it again."""
    monkeypatch.setattr(shipped_files, "find", lambda relative: None)

    with pytest.raises(InstallError, match="not installed"):
        list(init(tmp_path))


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_configuration_is_never_overwritten(tmp_path: Path, kind: str):
    """Not by a link to nowhere either; nothing else is made."""
    target = tmp_path / "config.yaml"
    if kind == "file":
        target.write_text("mine")
    else:
        target.symlink_to("nowhere")

    ended = run("init", str(tmp_path), cwd=tmp_path)

    assert ended.returncode == 2
    assert "config.yaml is there already and stays as it is" in ended.stderr
    assert names_in(tmp_path) == ["config.yaml"]
    assert target.is_symlink() or target.read_text() == "mine"


def test_by_default_it_is_made_here(tmp_path: Path):
    """As `cvunetd run` looks for it."""
    ended = run("init", cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "config.yaml").is_file()
    assert stat.S_IMODE((tmp_path / "hot").stat().st_mode) == 0o750


def test_a_file_in_the_way_is_told(tmp_path: Path):
    """Of a folder that is to be made; no configuration is left behind."""
    (tmp_path / "hot").touch()
    ended = run("init", str(tmp_path), cwd=tmp_path)

    assert ended.returncode == 2
    assert names_in(tmp_path) == ["hot"]


def test_folders_that_are_there_are_used(tmp_path: Path):
    """With what they hold."""
    (tmp_path / "hot").mkdir()
    (tmp_path / "hot/cat.jpg").touch()
    list(init(tmp_path))

    assert names_in(tmp_path / "hot") == ["cat.jpg"]


# --- without one ---------------------------------------------------------------------------------


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without a configuration, on a machine without one."""
    monkeypatch.chdir(tmp_path)
    searched = (Path("config.yaml"), tmp_path / "etc/config.yaml")
    monkeypatch.setattr("daemon.config.schema.SEARCHED", searched)
    return tmp_path


@pytest.mark.parametrize("is_check", [False, True])
def test_start_without_a_configuration(nowhere: Path, is_check: bool):
    """It is said what makes one; a missing folder was named before."""
    with pytest.raises(InstallError) as caught:
        if is_check:
            list(check_config.lines(None))
        else:
            prepare(None, lambda level, form: None)

    expected = f"no configuration at {nowhere}/config.yaml and {nowhere}/etc/config.yaml"
    assert f"{expected}: `cvunetd init` makes one here" in str(caught.value)


def test_named_configuration_that_is_missing(tmp_path: Path):
    """Likewise."""
    with pytest.raises(InstallError, match=r"No such file.*check --config, or make one: `cvunetd"):
        load(tmp_path / "config.yaml")


def test_defaults_serve_where_the_hot_folder_is(nowhere: Path):
    """As README.md promises: without any file, the defaults count."""
    (nowhere / "hot").mkdir()
    config, base, _ = prepare(None, lambda level, form: None)

    assert (config, base) == (Config(), nowhere)
