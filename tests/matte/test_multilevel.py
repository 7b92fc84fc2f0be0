"""The optional estimator of foreground colours."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import mattes
from cvunet.errors import EstimatorError
from cvunet.matte import multilevel, pymatting_library
from cvunet.matte.soft_band import soft_band
from cvunet.pictures import bit_depth
from cvunet.pictures.bit_depth import Bits

Floats = NDArray[np.float32]


@pytest.fixture(autouse=True)
def forgetful():
    """Each test loads anew."""
    pymatting_library.load.cache_clear()
    yield
    pymatting_library.load.cache_clear()


def soft_square() -> Floats:
    alpha = np.zeros((300, 400), np.float32)
    alpha[140:160, 200:230] = 0.5
    return alpha


def test_absent_extra_is_told(monkeypatch: pytest.MonkeyPatch):
    """With the command that mends it."""
    monkeypatch.setitem(sys.modules, "pymatting", None)

    with pytest.raises(EstimatorError, match=r"pip install 'cvunet-daemon\[refine\]'"):
        pymatting_library.load()


def test_want_of_a_cache_folder_is_told(monkeypatch: pytest.MonkeyPatch):
    """numba raises RuntimeError where it may not write."""

    def refuse(name: str) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr("importlib.import_module", refuse)

    with pytest.raises(EstimatorError, match="NUMBA_CACHE_DIR"):
        pymatting_library.load()


def test_estimator_sees_the_bands_surroundings(monkeypatch: pytest.MonkeyPatch):
    """Not the whole photo; only the band takes its colours."""
    seen: list[tuple[int, ...]] = []

    def estimate(image: Floats, alpha: Floats) -> Floats:
        seen.append((*image.shape, *alpha.shape))
        return np.full(image.shape, 0.2, np.float32)

    monkeypatch.setitem(sys.modules, "pymatting", SimpleNamespace(estimate_foreground_ml=estimate))
    rgb = np.full((300, 400, 3), 200, np.uint8)
    alpha = soft_square()

    colours = multilevel.estimate(rgb, alpha)

    margin = 2 * multilevel.MARGIN_PX
    assert seen == [(20 + margin, 30 + margin, 3, 20 + margin, 30 + margin)]
    assert (colours[alpha == 0.5] == 51).all()
    assert (colours[alpha == 0] == 200).all()
    assert (rgb == 200).all()


def test_nothing_soft_needs_no_estimator(monkeypatch: pytest.MonkeyPatch):
    """A photo without a band comes back as it was."""
    monkeypatch.setitem(sys.modules, "pymatting", None)
    rgb = np.full((20, 30, 3), 7, np.uint8)

    assert np.array_equal(rgb, multilevel.estimate(rgb, np.ones((20, 30), np.float32)))


@pytest.mark.slow
@pytest.mark.timeout(600)  # it compiles itself
@pytest.mark.filterwarnings("ignore")  # pymatting's and numba's own
def test_real_estimator_takes_the_background_away():
    """The colour error in the soft band falls to half at most."""
    pytest.importorskip("pymatting")
    y, x = np.mgrid[:200, :240].astype(np.float32)
    alpha = np.clip(0.5 - (np.hypot(x - 120, y - 100) - 60) / 16, 0, 1).astype(np.float32)
    front, back = np.array([220, 120, 40]), np.array([20, 90, 200])
    photo = (front * alpha[..., None] + back * (1 - alpha[..., None])).round().astype(np.uint8)
    soft = (alpha > 0.02) & (alpha < 1)

    colours = multilevel.estimate(photo, alpha)

    before, after = (
        float(np.abs(each[soft].astype(float) - front).mean()) for each in (photo, colours)
    )
    assert after < before / 2


@pytest.fixture
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where numba may write, unless the machine says so itself: a kept one saves the minute."""
    if "NUMBA_CACHE_DIR" not in os.environ:
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))


@pytest.mark.refine
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("default")  # of numba's own
@pytest.mark.usefixtures("cache_folder")
@pytest.mark.parametrize("bits", [8, 16])
def test_the_real_library_takes_the_background_out(bits: Bits):
    """Half of the colour error at least, in either depth, and nothing outside of the band."""
    sample = next(mattes.procedural(1, 512))
    soft = soft_band(sample.alpha) & (sample.alpha > 1 / 255)
    photo = bit_depth.to_bits(sample.rgb, bits)

    colours = multilevel.estimate(photo, sample.alpha)

    def error(samples: bit_depth.Samples) -> float:
        exact = sample.colours[soft].astype(float)
        return float(np.abs(bit_depth.to_float(samples)[soft] * 255 - exact).mean())

    assert colours.dtype == photo.dtype
    assert error(colours) <= error(photo) / 2
    plateau = ~soft_band(sample.alpha)
    assert np.array_equal(colours[plateau], photo[plateau])
