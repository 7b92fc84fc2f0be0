"""`cvunetd models`: what is listed, added and checked, and what is said of faults."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from daemon.cli import main
from daemon.reporting import journal
from tests.inference import onnx_kit


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner's standard error has no descriptor to look at."""
    monkeypatch.setattr(journal, "is_journal", lambda: False)


def run(*arguments: object) -> Result:
    """A command's whole output and exit status."""
    return CliRunner().invoke(main, ["models", *map(str, arguments)])


def configured(tmp_path: Path, models: dict[str, object]) -> Path:
    """A configuration with these models."""
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"model": {"device": "cpu"}, "models": models}))
    return path


def test_added_model_is_listed_and_checked(tmp_path: Path):
    """From a file to its seconds and megabytes; every line that `add` prints works."""
    file = onnx_kit.write(tmp_path / "u2netp.onnx", outputs=7)
    added = run("add", file)
    snippet = added.output.split("config.yaml:\n")[1].split("then:")[0]
    config = configured(tmp_path, yaml.safe_load(snippet)["models"])
    listed, checked = run("list", "--config", config), run("check", "u2netp", "--config", config)

    assert (added.exit_code, listed.exit_code, checked.exit_code) == (0, 0, 0)
    assert "u2netp (by its name, its input 1x3x320x320 and 7 outputs)" in added.output
    assert "licence Apache-2.0" in added.output
    assert f"u2netp (default): {file}" in listed.output
    assert "bria-rmbg: licence not for commercial use" in listed.output
    assert "downloads nothing" in listed.output
    for word in ("device: cpu, runtime: onnxruntime", "320x320", "seconds a picture", "memory:"):
        assert word in checked.output


def test_unknown_file_asks_for_its_family(tmp_path: Path):
    """Exit status 78: nothing was written; with --family it is."""
    file = onnx_kit.write(tmp_path / "x.onnx", shape=(1, 3, 1024, 1024))
    first, second = run("add", file), run("add", file, "--family", "ben2")

    assert (first.exit_code, second.exit_code) == (78, 0)
    assert "say --family NAME" in first.output
    assert "ben2 (you said so)" in second.output


def test_file_that_is_not_there_says_where_people_get_it(tmp_path: Path):
    """Nothing is downloaded."""
    found = run("add", tmp_path / "u2net.onnx")

    assert found.exit_code == 2
    assert "downloads nothing: get a file from its source" in found.output


def test_name_that_is_not_there_lists_the_names(tmp_path: Path):
    """As every choice does."""
    found = run("check", "bird", "--config", configured(tmp_path, {"a": "a.onnx", "b": "b.onnx"}))

    assert (found.exit_code, "choose one of a, b" in found.output) == (2, True)


def test_faulty_model_is_listed_with_its_fault(tmp_path: Path):
    """The others are listed, too; checking it ends with 78."""
    good = onnx_kit.write(tmp_path / "u2netp.onnx", outputs=7)
    run("add", good)
    bad = onnx_kit.write(tmp_path / "bad.onnx")
    config = configured(tmp_path, {"bad": str(bad), "good": str(good)})
    listed, checked = run("list", "--config", config), run("check", "bad", "--config", config)

    assert listed.exit_code == 0
    assert "cannot be used: " in listed.output
    assert "nothing says what this model is" in listed.output
    assert "u2netp, 0 MB" in listed.output
    assert (checked.exit_code, "cvunetd models add" in checked.output) == (78, True)


@pytest.mark.parametrize("added", ["link", "file"])
def test_link_to_a_model_is_described_beside_either(tmp_path: Path, added: str):
    """People link a file of another program's folder, and describe it here or there."""
    (tmp_path / "theirs").mkdir()
    file = onnx_kit.write(tmp_path / "theirs" / "u2netp.onnx", outputs=7)
    link = tmp_path / "u2netp.onnx"
    link.symlink_to(file)
    run("add", link if added == "link" else file)
    checked = run("check", "u2netp", "--config", configured(tmp_path, {"u2netp": str(link)}))

    assert checked.exit_code == 0, checked.output


@pytest.mark.parametrize("name", ["cvunet"])
def test_shipped_weights_are_the_only_model_by_default(tmp_path: Path, name: str):
    """With their licence."""
    root = Path(__file__).parents[2]
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"model": {"weights": str(root / "models/cvunet.pth")}}))
    listed = run("list", "--config", config)

    assert listed.output.startswith(f"{name} (default): ")
    assert "licence Apache-2.0" in listed.output
