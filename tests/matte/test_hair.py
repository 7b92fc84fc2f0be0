"""Hair: the soft band made anew from the photo's colours."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from cvunet.errors import EstimatorError
from cvunet.matte import hair, postprocess, pymatting_library
from cvunet.matte.guided_filter import downscale
from cvunet.pictures import bit_depth
from cvunet.pictures.bit_depth import Samples

Floats = NDArray[np.float32]
SIDE_PX = 384


@pytest.fixture(autouse=True)
def forgetful():
    """Each test loads anew."""
    pymatting_library.load.cache_clear()
    yield
    pymatting_library.load.cache_clear()


def furry(side: int = SIDE_PX, strands: int = 300) -> tuple[Samples, Floats, Floats]:
    """A dark, furry disc on a bright, uneven ground: photo, true alpha, and a network's answer."""
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[:side, :side].astype(np.float32) / side - 0.5
    distance, angle = np.hypot(rows, columns), np.arctan2(rows, columns)
    fur = np.interp(angle, np.linspace(-np.pi, np.pi, strands), rng.uniform(0.2, 0.3, strands))
    truth = np.clip((fur - distance) * side / 3, 0, 1).astype(np.float32)
    ground = 170 + 40 * rows[..., None] + np.array([20, 0, -10])
    subject = np.array([60, 40, 30]) + 20 * np.sin(40 * columns)[..., None]
    photo = truth[..., None] * subject + (1 - truth[..., None]) * ground
    noisy = np.clip(photo + rng.normal(0, 1.5, photo.shape), 0, 255).round().astype(np.uint8)
    seen = downscale(truth, (side // 6, side // 6))
    return noisy, truth, postprocess.upsample(seen, width=side, height=side)


def soft_error(alpha: Floats, truth: Floats) -> float:
    """Mean error where the truth is soft, or fur lies."""
    near = (truth > 0) & (truth < 1)
    return float(np.abs(alpha - truth)[near].mean())


def test_fast_finds_the_fur_in_the_photo():
    """The error in the soft band falls by a quarter at least."""
    photo, truth, seen = furry()

    refined = hair.refine(seen, photo, method="fast")

    assert soft_error(refined, truth) <= 0.75 * soft_error(seen, truth)
    assert refined.dtype == np.float32
    assert float(refined.min()) >= 0
    assert float(refined.max()) <= 1


def test_both_depths_give_the_same():
    """16 bits hold the same colours; the smaller copies round them less."""
    photo, _, seen = furry()
    deep = bit_depth.to_bits(photo, 16)

    refined, expected = (hair.refine(seen, each, method="fast") for each in (deep, photo))

    assert float(np.abs(refined - expected).mean()) < 1e-3


def test_far_from_the_edge_nothing_changes():
    """Exactly 0 and 1 stay so."""
    photo, _, seen = furry()

    refined = hair.refine(seen, photo, method="fast")

    band = hair.widened_band(seen)
    assert np.array_equal(refined[~band], postprocess.remove_haze(seen)[~band])
    assert 0 < band.mean() < 0.5


@pytest.mark.parametrize("side", [200, hair.SIDE_PX, 2000])
def test_any_size(side: int):
    """A photo larger than the working copy keeps its own size; its plateaus stay."""
    photo, truth, seen = furry(side)

    refined = hair.refine(seen, photo, method="fast")

    assert refined.shape == seen.shape
    assert soft_error(refined, truth) < soft_error(seen, truth)
    assert (refined[truth == 0] < 0.5).mean() > 0.99


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (2, 2), (37, 5)])
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_odd_shapes_and_plain_alphas(shape: tuple[int, int], level: float):
    """No band, or nothing but band: the alpha comes back."""
    alpha = np.full(shape, level, np.float32)
    photo = np.full((*shape, 3), 90, np.uint8)

    assert np.array_equal(hair.refine(alpha, photo, method="fast"), alpha)


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (1, 3000), (9, 2100)])
def test_thin_pictures_with_an_edge(shape: tuple[int, int]):
    """One pixel is enough to work on."""
    alpha = np.linspace(-2, 3, shape[0] * shape[1]).clip(0, 1).reshape(shape).astype(np.float32)
    photo = (np.dstack([alpha] * 3) * 200).astype(np.uint8)

    refined = hair.refine(alpha, photo, method="fast")

    assert refined.shape == shape
    assert np.isfinite(refined).all()


def test_off_touches_nothing():
    """The very array."""
    photo, _, seen = furry()

    assert hair.refine(seen, photo, method="off") is seen


def test_exact_needs_its_extra(monkeypatch: pytest.MonkeyPatch):
    """With the command that mends it."""
    monkeypatch.setitem(sys.modules, "pymatting", None)
    photo, _, seen = furry()

    with pytest.raises(EstimatorError, match=r"hair: exact.*pip install 'cvunet-daemon\[refine\]'"):
        hair.refine(seen, photo, method="exact")


def test_exact_asks_for_the_band_alone(monkeypatch: pytest.MonkeyPatch):
    """What is known is 0 or 1; outside of the band the answer is not used."""
    asked: list[Floats] = []

    def solve(image: Floats, trimap: Floats, **_: object) -> Floats:
        assert image.shape[:2] == trimap.shape
        asked.append(trimap)
        return np.full(trimap.shape, 0.25)

    monkeypatch.setitem(sys.modules, "pymatting", SimpleNamespace(estimate_alpha_cf=solve))
    photo, _, seen = furry()

    refined = hair.refine(seen, photo, method="exact")

    assert set(np.unique(asked[0])) == {0, 0.5, 1}
    band = hair.widened_band(seen)
    assert (refined[band] == 0.25).all()
    assert (refined[~band] != 0.25).all()


@pytest.mark.parametrize("answer", [np.nan, None])
def test_without_a_solution_the_fast_answer_is_used_and_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, answer: float | None
):
    """The conjugate gradient may not converge."""

    def solve(image: Floats, trimap: Floats, **_: object) -> Floats:
        if answer is None:
            raise ValueError("Conjugate gradient descent did not converge")
        return np.full(trimap.shape, answer)

    monkeypatch.setitem(sys.modules, "pymatting", SimpleNamespace(estimate_alpha_cf=solve))
    photo, _, seen = furry()

    refined = hair.refine(seen, photo, method="exact")

    assert np.array_equal(refined, hair.refine(seen, photo, method="fast"))
    assert "no exact solution" in caplog.text


def test_exact_leaves_a_mask_that_is_nearly_all_unsure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """As glass may give one: the equations would take gigabytes and minutes."""
    monkeypatch.setitem(sys.modules, "pymatting", SimpleNamespace())  # is not even asked
    photo, truth, _ = furry()
    unsure = np.clip(0.1 + truth, 0, 0.9).astype(np.float32)
    unsure[:16] = 0

    refined = hair.refine(unsure, photo, method="exact")

    assert hair.widened_band(unsure).mean() > hair.MAX_BAND
    assert np.array_equal(refined, hair.refine(unsure, photo, method="fast"))
    assert "by the fast method: " in caplog.text


@pytest.mark.refine
@pytest.mark.timeout(600)  # it compiles itself
@pytest.mark.filterwarnings("ignore")  # pymatting's and numba's own
def test_the_real_library_finds_the_fur(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Better than fast, and far better than what the network saw."""
    if "NUMBA_CACHE_DIR" not in os.environ:
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    photo, truth, seen = furry()

    exact, fast = (hair.refine(seen, photo, method=method) for method in ("exact", "fast"))

    assert soft_error(exact, truth) <= 0.6 * soft_error(seen, truth)
    assert soft_error(exact, truth) < soft_error(fast, truth)
