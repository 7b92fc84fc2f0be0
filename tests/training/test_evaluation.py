"""Scoring weights beside a peer and a folder of alphas, on tiny data."""

import logging
import math
import sys
import types
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cvunet import weights
from cvunet.errors import TrainingError
from cvunet.network.network import CVUNet, NetworkConfig
from cvunet.training import bars, cases, evaluation, measuring, samples
from cvunet.training.cases import Case
from cvunet.training.contestants import Folder, U2Net
from cvunet.training.tables import Figures
from tests.training import training_kit

pytestmark = pytest.mark.timeout(240)

CONFIG = NetworkConfig(width=0.35, aspp_channels=16, decoder_channels=(16, 8, 8, 8))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of tiny shards."""
    folder = tmp_path / "data"
    folder.mkdir()
    training_kit.write_shards(folder)
    return folder


@pytest.fixture
def own_weights(tmp_path: Path) -> Path:
    """Untrained weights with their manifest."""
    torch.manual_seed(0)
    path = tmp_path / "tiny.pth"
    digest = weights.save(path, CVUNet(CONFIG), config=CONFIG, provenance={})
    weights.record(tmp_path / "manifest.yaml", path.name, digest, path.stat().st_size)
    return path


def figures(**changes: float) -> Figures:
    """Good ones."""
    good = {"photos": 1, "mae": 0.01, "mse": 0.0, "sad": 0.0, "gradient": 1.0, "soft": 0.1}
    return Figures(**(good | {"iou": 0.97, "max_f": 0.98} | changes))


def square_case(alpha: NDArray[np.uint8]) -> Case:
    """A case of a set and source called ``mine``."""
    rgb = np.zeros((*alpha.shape, 3), np.uint8)
    return Case("mine", "mine", "one", lambda: (rgb, alpha))


def test_composites_are_the_same_in_every_run(data: Path) -> None:
    """Pixel for pixel, and unlike each other."""
    sources = samples.open_sources(data, "val")

    first, second = (cases.laid_over(sources, 3) for _ in range(2))

    for ours, theirs in zip(first, second, strict=True):
        np.testing.assert_array_equal(ours.load()[0], theirs.load()[0])
        np.testing.assert_array_equal(ours.load()[1], theirs.load()[1])
    assert not np.array_equal(first[0].load()[0], first[1].load()[0])
    assert [case.name for case in first] == ["000", "001", "002"]


def test_every_validation_photo_is_a_case(data: Path) -> None:
    """People by their source."""
    found = cases.photos(samples.open_sources(data, "val"))

    assert [case.set for case in found] == ["salient"] * 12 + ["people"] * 12
    assert {case.source for case in found} == {"salient", "ccp"}


def test_windows_that_the_subject_fills_are_cases(tmp_path: Path) -> None:
    """The same in every run; photos without such a window have none."""
    training_kit.write_shards(tmp_path)
    large, thin = np.zeros((2, 300, 300), np.uint8)
    cv2.circle(large, (150, 150), 100, 255, -1)
    cv2.line(thin, (0, 0), (299, 299), 255, 3)
    rng = np.random.default_rng(5)
    pictures = {"large": large, "thin": thin}
    members = {
        f"{name}{suffix}": training_kit.encoded(pixels, suffix)
        for name, mask in pictures.items()
        for suffix, pixels in (
            (".webp", rng.integers(0, 255, (300, 300, 3)).astype(np.uint8)),
            (".png", mask),
        )
    }
    training_kit.write_shard(tmp_path / "salient-val-00.tar", members)
    sources = samples.open_sources(tmp_path, "val")

    first, second = (cases.filling(sources) for _ in range(2))

    assert [case.name for case in first] == ["large"]
    rgb, alpha = first[0].load()
    assert rgb.shape == (*alpha.shape, 3)
    assert min(alpha.shape) >= cases.FILLING_PX
    assert 0.5 <= alpha.mean() / 255 <= 0.9
    assert np.array_equal(alpha, second[0].load()[1])


def test_a_folder_of_alphas_is_scored(tmp_path: Path) -> None:
    """Grey, 16 bit or an RGBA's alpha; the truth itself has no error."""
    truth = training_kit.disc(12)
    (tmp_path / "mine").mkdir()
    forms: list[NDArray[Any]] = [
        truth,
        truth.astype(np.uint16) * 257,
        np.dstack([truth * 0] * 3 + [truth]),
    ]

    for pixels in forms:
        cv2.imwrite(str(tmp_path / "mine/one.png"), pixels)
        alphas = Folder(tmp_path)
        answers = measuring.run([square_case(truth)], [alphas], None)
        [measured] = answers[alphas.name]
        assert measured.figures.mae == pytest.approx(0, abs=1e-6)
        assert measured.figures.iou == 1


def test_an_alpha_that_is_missing_or_of_another_size_is_named(tmp_path: Path) -> None:
    """With what to do."""
    alphas, case = Folder(tmp_path), square_case(training_kit.disc(12))

    with pytest.raises(TrainingError, match=r"one\.png: cannot be read"):
        alphas.alpha(case, case.load()[0])
    (tmp_path / "mine").mkdir()
    cv2.imwrite(str(tmp_path / "mine/one.png"), np.zeros((5, 5), np.uint8))
    with pytest.raises(TrainingError, match=r"one\.png: is \(5, 5\)"):
        alphas.alpha(case, case.load()[0])


def test_means_leave_out_pictures_without_a_soft_band() -> None:
    """A hard mask has nothing to say about soft edges."""
    hard, soft = np.zeros((40, 40), np.float32), np.full((40, 40), 0.5, np.float32)
    hard[:20] = 1
    measured = [measuring.measure(square_case(training_kit.disc(3)), soft, t)
                for t in (hard, soft + 0.25)]  # fmt: skip

    result = measuring.mean(measured)

    assert result.photos == 2
    assert result.soft == pytest.approx(0.25)
    assert math.isnan(measuring.mean(measured[:1]).soft)
    assert result.mae == pytest.approx((0.5 + 0.25) / 2)


def test_bars_tell_what_holds() -> None:
    """Each against the figure that a GPU's and a CPU's weights must reach."""
    ours = {
        "salient": figures(mae=0.030, iou=0.93),
        "people": figures(iou=0.94, photos=20),
        "  ccp640": figures(iou=0.99, photos=10),
        "composites": figures(mae=0.05, gradient=0.5),
        "leaving": figures(iou=0.9),
        "contrast": figures(iou=0.9),
    }
    theirs = {"composites": figures(gradient=1.0)}
    today = {"leaving": figures(iou=0.8), "contrast": figures(iou=0.85)}
    summaries = {"ours": ours, "U2-Net": theirs, "against": today}

    found = {bar.name: bar for bar in bars.bars(summaries, {})}

    verdicts = {name: (bar.holds(bar.gpu), bar.holds(bar.cpu)) for name, bar in found.items()}
    assert verdicts == {
        "salient MAE": (False, True),
        "salient IoU": (True, True),
        "people IoU, sharp photos count double": (False, True),
        "composites MAD": (False, False),
        "composites gradient error, share of U2-Net's": (False, True),
        "leaving 1 - IoU, share of the other weights'": (True, True),
        "contrast 1 - IoU, share of the other weights'": (False, True),
    }
    people = found["people IoU, sharp photos count double"]
    assert people.found == pytest.approx((20 * 0.94 + 10 * 0.99) / 30)


def test_speed_is_compared_by_medians() -> None:
    """One slow picture does not decide."""
    seconds = {"ours": [0.1, 0.1, 9.0], "U2-Net": [1.0, 1.0, 1.0]}

    [bar] = bars.bars({"ours": {}}, seconds)

    assert bar.found == pytest.approx(0.1)
    assert bar.holds(bar.cpu)


def test_u2net_gets_what_it_was_trained_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """320 pixels, ImageNet's statistics; its answer is stretched to the whole range."""
    given: list[NDArray[np.float32]] = []

    class Session:
        """An answer between 0.2 and 0.6."""

        def __init__(self, file: str, providers: list[str]) -> None: ...

        def get_inputs(self) -> list[types.SimpleNamespace]:
            return [types.SimpleNamespace(name="input.1")]

        def run(self, _: None, feed: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
            given.append(feed["input.1"])
            answer = np.full((1, 1, 320, 320), 0.2, np.float32)
            answer[..., 160:] = 0.6
            return [answer]

    runtime = types.SimpleNamespace(InferenceSession=Session)
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    (tmp_path / "u2net.onnx").touch()
    case = square_case(training_kit.disc(12))

    alpha = U2Net(tmp_path / "u2net.onnx").alpha(case, np.full((64, 48, 3), 255, np.uint8))

    assert given[0].shape == (1, 3, 320, 320)
    np.testing.assert_allclose(given[0][0, :, 0, 0], (1 - np.array((0.485, 0.456, 0.406))) /
                               np.array((0.229, 0.224, 0.225)), rtol=1e-4)  # fmt: skip
    assert alpha.shape == (64, 48)
    assert (float(alpha.min()), float(alpha.max())) == (0, 1)


def test_u2net_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what fetches it."""
    monkeypatch.setitem(sys.modules, "onnxruntime", types.SimpleNamespace())

    with pytest.raises(TrainingError, match="make evaluate"):
        U2Net(tmp_path / "u2net.onnx")


def test_an_evaluation_prints_tables_bars_and_draws_the_worst(
    data: Path, own_weights: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """From shards to the sheet; the alphas kept can be scored again as a folder."""
    common = ["--data", str(data), "--weights", str(own_weights), "--size", "64", "--every", "100"]
    keep, sheet = tmp_path / "kept", tmp_path / "sheets/worst.png"
    with caplog.at_level(logging.INFO):
        evaluation.evaluate(evaluation.parse([*common, "--keep", str(keep)]))
        again = [*common, "--alphas", str(keep / "ours"), "--sheet", str(sheet)]
        evaluation.evaluate(evaluation.parse(again))

    assert "salient MAE" in caplog.text
    assert "composites MAD" in caplog.text
    assert "kept/ours" in caplog.text
    drawn = cv2.imread(str(sheet))
    assert drawn is not None
    assert drawn.shape[1] == 160 * 5  # the composites 76, 176 … of 500


def test_a_folder_asked_for_twice_is_refused(data: Path, own_weights: Path) -> None:
    """Its figures would be mixed."""
    common = ["--data", str(data), "--weights", str(own_weights), "--size", "64"]
    options = evaluation.parse([*common, *["--alphas", str(data)] * 2])

    with pytest.raises(TrainingError, match="asked for twice"):
        evaluation.enter(options)


def test_pictures_are_written_for_other_programs(data: Path, tmp_path: Path) -> None:
    """Under the names that `Folder` looks for."""
    options = ["--data", str(data), "--every", "100", "--pictures", str(tmp_path / "out")]

    evaluation.evaluate(evaluation.parse(options))

    found = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.png"))
    assert found[0].startswith("composites/")
    assert found[-1] == "salient/n0.png"


def test_one_set_alone(data: Path, own_weights: Path) -> None:
    """What another program has to be compared on takes long enough."""
    common = ["--data", str(data), "--weights", str(own_weights), "--set", "people"]

    assert {case.set for case in evaluation.choose(evaluation.parse(common))} == {"people"}


def test_other_weights_are_compared_picture_by_picture(
    data: Path, own_weights: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What got worse is listed and drawn; equal weights differ nowhere."""
    torch.manual_seed(9)
    other = tmp_path / "other/other.pth"
    other.parent.mkdir()
    digest = weights.save(other, CVUNet(CONFIG), config=CONFIG, provenance={})
    weights.record(other.parent / "manifest.yaml", other.name, digest, other.stat().st_size)
    common = [
        "--data",
        str(data),
        "--weights",
        str(own_weights),
        "--size",
        "64",
        "--set",
        "salient",
    ]
    sheet = tmp_path / "worse.png"

    with caplog.at_level(logging.INFO):
        options = [*common, "--against", str(other), "--worsened", str(sheet)]
        evaluation.evaluate(evaluation.parse(options))
    assert "pictures got worse" in caplog.text
    assert "mean of sets" in caplog.text
    assert cv2.imread(str(sheet)) is not None

    caplog.clear()
    with caplog.at_level(logging.INFO):
        evaluation.evaluate(evaluation.parse([*common, "--against", str(own_weights)]))
    assert "0 pictures got worse" in caplog.text
    assert "must not be released" in caplog.text


def test_halves_are_all(data: Path) -> None:
    """No picture in both, none in neither."""

    def names(*more: str) -> set[tuple[str, str]]:
        options = ["--data", str(data), "--set", "salient", "--set", "people", *more]
        return {(case.set, case.name) for case in evaluation.choose(evaluation.parse(options))}

    first, second = names("--half", "first"), names("--half", "second")

    assert first | second == names()
    assert not first & second
    assert first
    assert second
