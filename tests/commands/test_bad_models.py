"""Models that cannot be served end the start with 78 and say what to do."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

from daemon.cli import main
from daemon.reporting import journal
from daemon.worker import host_memory
from tests.inference import onnx_kit
from tests.inference.test_model_files import custom

SHAPE = (1, 3, 32, 64)


@pytest.fixture(autouse=True)
def _no_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log of a test is pytest's own."""
    monkeypatch.setattr(journal, "start", lambda level, format: None)
    monkeypatch.setattr(journal, "is_journal", lambda: False)


def start(base: Path, model: Path, **sections: Any) -> tuple[int, str]:
    """Exit status and words of `cvunetd run`."""
    (base / "hot").mkdir(exist_ok=True)
    config = {"folders": [{"path": "hot"}], "models": {"m": str(model)}} | sections
    (base / "config.yaml").write_text(yaml.safe_dump(config))
    result = CliRunner().invoke(main, ["run", "--config", str(base / "config.yaml")])
    return result.exit_code, result.output


def made(base: Path, *, entry: dict[str, object] | None = None, **model: Any) -> Path:
    """A tiny model with an entry that a person wrote by hand."""
    return custom(onnx_kit.write(base / "m.onnx", **({"shape": SHAPE} | model)), **(entry or {}))


@pytest.mark.parametrize(
    ("model", "entry", "told"),
    [
        ({"inputs": 2}, {}, "has 2 inputs"),
        ({"domain": "com.example"}, {}, "uses an operator that onnxruntime does not have"),
        ({"shape": (1, 3, 320)}, {}, "input is 1x3x320, and its description says 64x32"),
        ({"shape": (4, 3, 32, 64)}, {}, "takes batches of 4 only"),
        ({"shape": (1, 4, 32, 64)}, {}, "its description says"),
        ({"kind": "int32"}, {}, "it must be float or float16"),
        ({}, {"width": 96}, "its description says 96x32"),
        ({}, {"mean": [123.675, 116.28, 103.53]}, "123.675 is written 0.485"),
        ({}, {"mean": [123, 123, 123], "scale": 255}, "the mean lies between -1 and 1"),
        ({}, {"output": "x"}, "no output 'x'"),
    ],
)
def test_odd_model_ends_the_start(
    tmp_path: Path, model: dict[str, Any], entry: dict[str, object], told: str
):
    """Also if its entry was written by hand, so `models add` has never seen it."""
    status, words = start(tmp_path, made(tmp_path, entry=entry, **model))

    assert (status, told in words) == (78, True), words


@pytest.mark.parametrize("damage", ["cut short", "another file", "no entry", "absent"])
def test_damaged_file_ends_the_start(tmp_path: Path, damage: str):
    """With how much of it is there, or what to fetch."""
    path = made(tmp_path)
    if damage == "cut short":
        path.write_bytes(path.read_bytes()[:100])
    elif damage == "another file":
        onnx_kit.write(path, shape=SHAPE, gain=2)
    elif damage == "no entry":
        path.with_suffix(".yaml").unlink()
    else:
        path.unlink()
    status, words = start(tmp_path, path)

    told = {
        "cut short": "it has 100 bytes of",
        "another file": "if you have replaced it, describe it first",
        "no entry": "cvunetd models add",
        "absent": "the model cannot be read (No such file or directory): put the file there",
    }
    assert (status, told[damage] in words) == (78, True), words


def test_open_sides_are_served(tmp_path: Path):
    """A model of any size is run at the size of its entry."""
    model = made(tmp_path, shape=("batch", 3, "height", "width"))
    picture = tmp_path / "cat.png"
    Image.fromarray(np.full((40, 50, 3), 200, np.uint8)).save(picture)
    result = CliRunner().invoke(
        main, ["cut", str(picture), "-o", str(tmp_path / "out.png"), "--model", str(model)]
    )

    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == (50, 40)


def test_model_larger_than_the_memory_ends_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Before it is loaded: else the kernel ends the process, at every start."""
    monkeypatch.setattr(host_memory, "available_bytes", lambda: 300)
    status, words = start(tmp_path, made(tmp_path))

    assert (status, "of memory are" in words) == (78, True), words


def test_two_folders_of_one_name_end_the_start(tmp_path: Path):
    """Their models, results and rows would be mixed."""
    (tmp_path / "other/hot").mkdir(parents=True)
    status, words = start(
        tmp_path, made(tmp_path), folders=[{"path": "hot"}, {"path": "other/hot", "model": "m"}]
    )

    assert (status, "hot" in words and "name" in words) == (78, True), words


@pytest.mark.parametrize("second", ["mm", "m"])
def test_wrong_second_model_ends_the_start(tmp_path: Path, second: str):
    """An unknown one with the name that was meant; the folder's own one, too."""
    status, words = start(tmp_path, made(tmp_path), output={"review": {"second": second}})

    told = "did you mean 'm'?" if second == "mm" else "the folder's own model"
    assert (status, told in words) == (78, True), words


def test_model_that_never_gives_numbers_ends_the_start(tmp_path: Path):
    """The warm-up notices it. Later, such an answer fails its picture alone (test_lanes.py)."""
    status, words = start(tmp_path, made(tmp_path, gain=float("nan")))

    assert (status, "not a number" in words) == (78, True), words


def test_unknown_model_of_the_command_line(tmp_path: Path):
    """Status 2, before anything is loaded."""
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"models": {"birefnet": "b.onnx"}}))
    arguments = ["cut", "cat.png", "-o", "out", "--config", str(tmp_path / "config.yaml")]
    result = CliRunner().invoke(main, [*arguments, "--model", "birefnt"])

    assert result.exit_code == 2
    assert "did you mean 'birefnet'?" in result.output
