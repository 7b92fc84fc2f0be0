"""What people type after `cut` and `batch`: names, and files whose suffix decides."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from daemon.cli import main
from daemon.commands.cut import apply_options, check_place, cut
from daemon.config.schema import Config
from daemon.errors import UsageError


def decided(out: str, *, count: int = 1, common: Any = None, **given: Any) -> str:  # Any: YAML
    """The format of a result."""
    config = Config.model_validate({"output": common or {}})
    sources = [Path(f"{number}.jpg") for number in range(count)]
    return apply_options(config, given, sources=sources, out=Path(out)).output.format


@pytest.mark.parametrize(
    ("out", "expected"),
    [("x.jpg", "jpeg"), ("x.JPEG", "jpeg"), ("x.tif", "tiff"), ("x.webp", "webp"), ("x", "png")],
)
def test_suffix_decides_the_format(out: str, expected: str):
    """A name without one is a folder."""
    assert decided(out) == expected


def test_suffix_leaves_what_fits():
    """Both ways of WebP have one suffix."""
    assert decided("x.webp", common={"format": "webp-lossless"}) == "webp-lossless"
    assert decided("x.webp", format="webp-lossless") == "webp-lossless"


def test_format_against_the_suffix():
    """Nobody could tell which one is meant."""
    with pytest.raises(UsageError, match=r"x\.jpg is the name of a jpeg file, and --format says"):
        decided("x.jpg", format="png")


@pytest.mark.parametrize("out", ["x.gif", "x.BMP", "x.mp4"])
def test_suffix_that_is_not_written(out: str):
    """A folder of this name would not be what the person wants."""
    with pytest.raises(UsageError, match=r"pictures are not written as \.\w+: use \.png, \.webp"):
        decided(out)


def test_transparency_is_none_on_the_command_line():
    """The configuration says null."""
    with pytest.raises(UsageError, match="clip, or none for transparency"):
        decided("x.png", background="red")


def test_folder_may_look_like_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """If it is there."""
    (tmp_path / "x.jpg").mkdir()
    monkeypatch.chdir(tmp_path)

    assert decided("x.jpg") == "png"


@pytest.mark.parametrize("name", ["x.png", "x.webm", "x.gif", "x.MOV"])
def test_several_files_need_a_folder(tmp_path: Path, name: str):
    """Its name may not be that of a file that is not there."""
    with pytest.raises(UsageError, match="for several files name a folder"):
        check_place(tmp_path / name, is_one=False)


def test_a_folder_may_be_named_like_a_file(tmp_path: Path):
    """If it is there; and one file may go anywhere."""
    (tmp_path / "x.png").mkdir()

    check_place(tmp_path / "x.png", is_one=False)
    check_place(tmp_path / "new.png", is_one=True)


@pytest.mark.parametrize(
    ("option", "value", "hint"),
    [
        ("--format", "pgn", "did you mean 'png'?"),
        ("--preset", "markteplace", "did you mean 'marketplace'?"),
        ("--content", "alhpa", "did you mean 'alpha'?"),
        ("--keep", "biggest", "known are all, largest"),
        ("--formt", "png", "--format"),
    ],
)
@pytest.mark.parametrize("command", ["cut", "batch"])
def test_unknown_names_are_told(tmp_path: Path, command: str, option: str, value: str, hint: str):
    """Exit status 2, with the nearest that there is."""
    places = [str(tmp_path), "out"] if command == "batch" else ["a.jpg", "-o", "out"]
    result = CliRunner().invoke(main, [command, *places, option, value])

    assert result.exit_code == 2
    assert hint in result.output


def test_wrong_numbers_are_told(tmp_path: Path):
    """Each in a line of its own, before a model is loaded."""
    (tmp_path / "config.yaml").write_text("")
    wrong = {"low": float("nan"), "shift": 51.0, "high": None}

    with pytest.raises(UsageError) as caught:
        cut(
            [tmp_path / "a.jpg"],
            tmp_path / "out",
            tmp_path / "config.yaml",
            start_logging=lambda level, format: None,
            options=wrong,
        )

    lines = str(caught.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["--low", "--shift"]
    assert not (tmp_path / "out").exists()
