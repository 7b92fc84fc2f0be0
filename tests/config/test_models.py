"""`models:`: named models, what they leave out, and which one a folder has."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.config import folders, schema
from daemon.config.models import model_settings
from daemon.config.schema import Config
from daemon.errors import InstallError
from daemon.jobs import HotFolder


def configured(**sections: Any) -> Config:
    """A configuration."""
    return Config.model_validate(sections)


def fault(tmp_path: Path, text: str) -> str:
    """What loading says of a file."""
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(InstallError) as told:
        schema.load(path)
    return str(told.value).removeprefix(f"{path}:")


def test_old_weights_are_one_model(tmp_path: Path):
    """A configuration without `models` works as before."""
    config = configured(model={"weights": "mine.pth", "device": ["cuda:0", "cuda:1"]})
    (model,) = model_settings(config, tmp_path)

    assert (model.name, model.file) == ("cvunet", tmp_path / "mine.pth")
    assert model.devices == ("cuda:0", "cuda:1")


def test_model_leaves_out_what_is_common(tmp_path: Path):
    """A path alone is an entry, too; the order is that of the file."""
    config = configured(
        model={"device": "cpu", "mirror": True, "runtime": "torch"},
        models={
            "small": "u2netp.onnx",
            "large": {"file": "/srv/b.onnx", "device": "cuda:1", "mirror": False},
        },
    )
    small, large = model_settings(config, tmp_path)

    assert (small.name, small.file) == ("small", tmp_path / "u2netp.onnx")
    assert (small.devices, small.is_mirrored, small.runtime) == (("cpu",), True, "torch")
    assert (large.file, large.devices, large.is_mirrored) == (
        Path("/srv/b.onnx"),
        ("cuda:1",),
        False,
    )


def test_link_to_a_described_model_keeps_its_name(tmp_path: Path):
    """`NAME.yaml` may be beside the link; our own weights have theirs beside the file itself."""
    (tmp_path / "real").mkdir()
    for name in ("u2net.onnx", "mine.pth"):
        (tmp_path / "real" / name).touch()
        (tmp_path / name).symlink_to(tmp_path / "real" / name)
    config = configured(models={"other": "u2net.onnx", "ours": "mine.pth"})

    other, ours = model_settings(config, tmp_path)

    assert other.file == tmp_path / "u2net.onnx"
    assert ours.file == tmp_path / "real" / "mine.pth"


def test_weights_and_models_contradict_each_other(tmp_path: Path):
    """One of them would be ignored."""
    config = configured(model={"weights": "mine.pth"}, models={"a": "a.onnx"})
    with pytest.raises(InstallError, match=r"move the weights into models, as cvunet: mine\.pth"):
        model_settings(config, tmp_path)


def hot(tmp_path: Path, config: Config) -> list[HotFolder]:
    """Its folders, which exist."""
    for folder in config.folders:
        (tmp_path / folder.path).mkdir()
    return folders.hot_folders(config, tmp_path)


def test_folder_chooses_its_model(tmp_path: Path):
    """The first is the default."""
    config = configured(
        folders=[{"path": "one"}, {"path": "two", "model": "b"}],
        models={"a": "a.onnx", "b": "b.onnx"},
    )

    assert [folder.model for folder in hot(tmp_path, config)] == ["a", "b"]


@pytest.mark.parametrize(
    ("models", "known"), [({"a": "a.onnx", "b": "b.onnx"}, "a, b"), ({}, "cvunet")]
)
def test_unknown_model_of_a_folder_is_told(tmp_path: Path, models: dict[str, str], known: str):
    """With those that there are."""
    config = configured(folders=[{"path": "one", "model": "c"}], models=models)
    with pytest.raises(InstallError, match=f"folder one: model 'c' is none of models: {known}"):
        hot(tmp_path, config)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "models: {a: {file: x, devic: cpu}}",
            "1: unknown key 'models.a.devic'; did you mean 'device'?",
        ),
        ("models:\n  a: {file: x, device: gpu}", "2: models.a.device: a device is auto"),
        ("models:\n  a: {file: x, runtime: onnx}", "2: models.a.runtime: 'onnx' is none of"),
        ("models:\n  a: {}", "2: key 'models.a.file' is missing"),
        ("models: {'a/b': x}", "1: models: 'a/b' is no model's name"),
        ("models:\n  a: x\n  a: y", "3: key 'a' stands twice"),
        ("models: [a]", "1: models"),
    ],
)
def test_faults_are_told_with_their_line(tmp_path: Path, text: str, expected: str):
    """Two models of one name among them."""
    assert fault(tmp_path, text).startswith(expected)


def test_shipped_file_shows_an_entry_that_works(tmp_path: Path):
    """The example in the comments of config.yaml is a valid section."""
    lines = (Path(__file__).parents[2] / "config.yaml").read_text().splitlines()
    example = [line.split("#", 1)[1].strip() for line in lines if line.strip().startswith("#   ")]
    models = yaml.safe_load(
        "\n".join(one for one in example if one[:8] in ("cvunet: ", "birefnet"))
    )

    assert list(configured(models=models).models) == ["cvunet", "birefnet"]
