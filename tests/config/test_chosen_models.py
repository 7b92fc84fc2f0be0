"""`--model` of `cut` and `batch`: a name or a file; only models that are needed are loaded."""

from pathlib import Path
from typing import Any

import pytest

from daemon.config.chosen_models import choose
from daemon.config.models import model_settings
from daemon.config.options import apply
from daemon.config.schema import Config
from daemon.errors import InstallError, UsageError

MODELS = {"small": "a.onnx", "large": {"file": "b.onnx", "device": "cuda:1"}, "huge": "c.onnx"}


def chosen(
    base: Path, named: str | None, *, second: str = "none", models: Any = MODELS, **more: Any
) -> tuple[list[str], str]:
    """Names of the models that are loaded, and the second one."""
    sections = {"models": models, "output": {"review": {"second": second}}, **more}
    config = choose(Config.model_validate(sections), named, current=base)
    return [one.name for one in model_settings(config, base)], config.output.review.second


@pytest.mark.parametrize(
    ("named", "second", "expected"),
    [
        (None, "none", (["small"], "none")),
        (None, "huge", (["small", "huge"], "huge")),
        ("large", "none", (["large"], "none")),
        ("large", "huge", (["large", "huge"], "huge")),
        ("large", "small", (["large", "small"], "small")),
        ("large", "large", (["large"], "none")),
    ],
)
def test_only_what_is_needed_is_loaded(
    tmp_path: Path, named: str | None, second: str, expected: tuple[list[str], str]
):
    """The named one is the first; it is not asked twice."""
    assert chosen(tmp_path, named, second=second) == expected


def test_file_is_a_model_of_its_own(tmp_path: Path):
    """Its path starts where the person is; its name is the file's if that can be a model's."""
    for name in ("u2netp.onnx", "small.onnx", "my model.pth", "none.onnx"):
        (tmp_path / name).touch()
    names = [
        chosen(tmp_path, name)[0]
        for name in ("u2netp.onnx", "small.onnx", "my model.pth", "none.onnx")
    ]
    config = choose(Config(), "u2netp.onnx", current=tmp_path)
    own = chosen(tmp_path, str(tmp_path / "u2netp.onnx"), second="large")
    besides = chosen(tmp_path, "u2netp.onnx", models={}, model={"weights": "mine.pth"})

    assert names == [["u2netp"], ["model"], ["model"], ["model"]]
    assert model_settings(config, Path("/elsewhere"))[0].file == tmp_path / "u2netp.onnx"
    assert own == (["u2netp", "large"], "large")
    assert besides == (["u2netp"], "none")


def test_without_models_there_is_one_name(tmp_path: Path):
    """That of the weights, and it may be the second one of a file."""
    (tmp_path / "u2netp.onnx").touch()

    assert chosen(tmp_path, "cvunet", models={}) == (["cvunet"], "none")
    assert chosen(tmp_path, None, models={}) == (["cvunet"], "none")
    assert chosen(tmp_path, "u2netp.onnx", models={}, second="cvunet") == (
        ["u2netp", "cvunet"],
        "cvunet",
    )


@pytest.mark.parametrize(
    ("named", "told"),
    [
        (
            "lagre",
            "--model: 'lagre' is unknown; did you mean 'large'? known are small, large, huge",
        ),
        ("xyz", "--model: 'xyz' is unknown; known are small, large, huge, and files that end in"),
        ("gone.onnx", "--model: there is no file gone.onnx"),
        ("b.pt", "'b.pt' is unknown"),
    ],
)
def test_unknown_names_are_told(tmp_path: Path, named: str, told: str):
    """With the nearest that there is; status 2."""
    with pytest.raises(UsageError) as caught:
        chosen(tmp_path, named)

    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ("lagre", "'lagre' is none of models: .* did you mean 'large'"),
        ("small", "first model already"),
    ],
)
def test_second_model_of_the_file_is_checked(tmp_path: Path, second: str, told: str):
    """As the daemon checks it; status 78."""
    with pytest.raises(InstallError, match=told):
        chosen(tmp_path, None, second=second)


def test_option_goes_with_the_others(tmp_path: Path):
    """`--model large --format webp`."""
    config = Config.model_validate({"models": MODELS})
    made = apply(config, {"model": "large", "format": "webp"}, current=tmp_path)

    assert (list(made.models), made.output.format) == (["large"], "webp")


def test_none_is_no_models_name():
    """`second: none` would mean two things."""
    with pytest.raises(ValueError, match="'none' is no model's name"):
        Config.model_validate({"models": {"none": "a.onnx"}})
