"""What the defaults promise of edges, colours and the estimator's absence."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import mattes
from benchmarks.mattes import Sample
from cvunet import scores
from cvunet.inference import matting
from cvunet.inference.matting import FinishSettings
from cvunet.matte import foreground, postprocess, pymatting_library
from cvunet.matte.soft_band import soft_band
from daemon.config import schema
from daemon.errors import InstallError
from daemon.settings import ModelSettings
from daemon.worker.engines.local import EngineSettings, open_engine


@pytest.fixture(scope="module")
def sample() -> Sample:
    """Hair and thin bars, through a camera."""
    return next(mattes.procedural(1, 1600))


def test_default_keeps_a_true_matte(sample: Sample):
    """Down to 512 px and back: at most 0.40 of bilinear's gradient error and 0.70 of its MAD."""
    truth, rgb = sample.alpha, sample.rgb
    small = cv2.resize(truth, (512, 512), interpolation=cv2.INTER_AREA).astype(np.float32)
    plain = postprocess.upsample(small, width=1600, height=1600, is_cubic=False)

    large = postprocess.enlarge(small, rgb, kernel=FinishSettings().kernel)
    alpha = matting.filter_edges(large, rgb, settings=FinishSettings())

    assert scores.gradient_error(alpha, truth) <= 0.40 * scores.gradient_error(plain, truth)
    assert scores.soft_band_error(alpha, truth) <= 0.70 * scores.soft_band_error(plain, truth)


def colour_error(sample: Sample, colours: NDArray[np.uint8]) -> float:
    """Mean over the soft band, in levels."""
    soft = soft_band(sample.alpha) & (sample.alpha > 1 / 255)
    return float(np.abs(colours[soft].astype(float) - sample.colours[soft]).mean())


def test_colours_of_thin_things():
    """Of the colour error in the soft band 0.36 is left, hair and noise included.

    Half was asked for; 0.37 is left where the first passes look at what is not sure as well.
    """
    made = list(mattes.procedural(4, 1024))

    before = sum(colour_error(each, each.rgb) for each in made)
    after = sum(colour_error(each, foreground.estimate(each.rgb, each.alpha)) for each in made)

    assert after <= 0.36 * before


@pytest.fixture
def without_pymatting(monkeypatch: pytest.MonkeyPatch):
    """As where the extra was not installed."""
    pymatting_library.load.cache_clear()
    monkeypatch.setitem(sys.modules, "pymatting", None)


@pytest.mark.usefixtures("without_pymatting")
def test_absent_extra_stops_the_start():
    """The first thing that the engine looks at; exit status 78 follows from the error."""
    settings = EngineSettings(
        models=(
            ModelSettings(
                name="cvunet", file=Path("none.pth"), devices=("cpu",), precision="float32"
            ),
        ),
        max_batch=1,
        max_wait_s=0.0,
        memory_bytes=10**9,
        colours="refine",
    )

    with pytest.raises(InstallError, match=r"refine .* need pymatting"):
        open_engine(settings, lambda step: None)


@pytest.mark.usefixtures("without_pymatting")
def test_fast_colours_need_no_extra():
    """Nothing is loaded for them."""
    foreground.load_estimator("fast")


@pytest.mark.parametrize(
    "said",
    [
        "postprocess: {kernel: lanczos}",
        "postprocess: {filter: median}",
        "postprocess: {colours: best}",
        "postprocess: {diameter: 0}",
        "output: {bleed: perhaps}",
    ],
)
def test_bad_value_is_told_by_line(tmp_path: Path, said: str):
    """One clear line with the key."""
    file = tmp_path / "config.yaml"
    file.write_text(f"{said}\n")

    with pytest.raises(InstallError, match=rf"config.yaml:1: .*{said.split('{')[1].split(':')[0]}"):
        schema.load(file)
