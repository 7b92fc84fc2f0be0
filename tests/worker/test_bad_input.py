"""Bad files through the whole worker: a cut-out and the warning, or the reason of the refusal."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cvunet.pictures.reading import Picture
from daemon.errors import Blame
from daemon.jobs import Done, Failed, Outcome, Task
from daemon.worker.engines import Engine
from tests.pictures import pictures_kit as kit
from tests.pictures.test_colour_spaces import cicp, gama, png
from tests.pictures.test_damage import JUNK, NONSENSE, tiled
from tests.pictures.test_profiles import UNUSABLE
from tests.samples import RENDERING

COLOUR = (200, 100, 50)
FLAT = Image.new("RGB", (30, 20), COLOUR)
NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 96, 3), dtype=np.uint8))
PIXELS = np.full((20, 30, 3), COLOUR, np.uint8)


class Whole:
    """Stands for a predictor that finds nothing but subject, save in a corner."""

    device = SimpleNamespace(type="cpu")

    def prepare(self, picture: Picture) -> NDArray[np.uint8]:
        """Nothing of it counts."""
        return np.zeros((16, 16, 3), np.uint8)

    def predict(self, batch: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        """The lower right quarter is background."""
        alpha = np.ones((16, 16), np.float32)
        alpha[8:, 8:] = 0
        return [alpha for _ in batch]


@pytest.fixture
def run(engine: Engine, tmp_path: Path) -> Callable[[bytes], Outcome]:
    """What the worker says of a file; the result is `cat.part`."""

    def submit(data: bytes) -> Outcome:
        source = tmp_path / "cat.jpg"
        source.write_bytes(data)
        task = Task("1", source, tmp_path / "cat.part", RENDERING, 10**6)
        return engine.submit(task).result(30)

    return submit


CUT_OUT = {
    **{
        f"profile: {name}": (kit.file_of(FLAT, "PNG", icc_profile=data), "colour profile cannot be")
        for name, data in UNUSABLE.items()
    },
    **{
        f"60 kB of junk for EXIF in {kind}": (
            kit.file_of(FLAT, kind, exif=b"Exif\0\0" + JUNK),
            "its EXIF block cannot be read, so its orientation is unknown",
        )
        for kind in ("JPEG", "PNG", "WEBP")
    },
    "junk behind a proper head in PNG": (
        kit.file_of(FLAT, "PNG", exif=NONSENSE),
        "its EXIF block cannot be read",
    ),
    "code points of narrow range": (png(PIXELS, cicp(9, 14, 0, 0)), "of narrow range"),
    "a gamma of 0": (png(PIXELS, gama(0)), "its gamma is 0"),
    "CMYK without a profile": (
        kit.file_of(FLAT.convert("CMYK"), "JPEG", quality=100),
        "its colours are approximate",
    ),
    "two pages": (
        kit.file_of(FLAT, "TIFF", save_all=True, append_images=[NOISE]),
        "has several frames or pages; only the first is used",
    ),
}

AVIF = kit.file_of(NOISE, "AVIF")
REFUSED = {
    **{
        f"three channels of 16 bits, photometric {number}": (
            kit.deep_tiff(np.zeros((20, 30, 3), np.uint16), t262=number),
            f"a TIFF of a kind that cannot be read (bits per sample (16, 16, 16), photometric"
            f" {number}): save it as RGB of 8 or 16 bits",
        )
        for number in (0, 1, 3, 5, 6, 8, 999)
    },
    **{
        f"tiles of {sides}": (tiled(*sides), "the TIFF is truncated or damaged")
        for sides in ((0, 0), (0, 16), (16, 0))
    },
    **{
        f"{share:.0%} of an AVIF": (
            AVIF[: int(len(AVIF) * share)],
            "the AVIF is truncated or damaged",
        )
        for share in (0.05, 0.2, 0.4, 0.6, 0.8, 0.95)
    },
    "junk behind a proper head in JPEG": (
        kit.file_of(FLAT, "JPEG", exif=NONSENSE),
        "it claims too much metadata",
    ),
    "text": (b"Dear reader,\nhello.\n" * 50, "not a picture in a known format"),
    "nothing": (b"", "the file is empty"),
}


@pytest.mark.parametrize("name", CUT_OUT)
def test_it_is_cut_out_with_a_warning(name: str, run: Callable[[bytes], Outcome], tmp_path: Path):
    """The subject in its colours, and one line in the manifest."""
    data, told = CUT_OUT[name]

    outcome = run(data)

    assert isinstance(outcome, Done), outcome
    assert told in " ".join(outcome.warnings)
    with Image.open(tmp_path / "cat.part") as cutout:
        assert (cutout.size, cutout.mode, "icc_profile" in cutout.info) == (
            FLAT.size,
            "RGBA",
            False,
        )
        assert cutout.getpixel((4, 4)) == pytest.approx((*COLOUR, 255), abs=3)
        assert cutout.getpixel((28, 18)) == (0, 0, 0, 0)


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_with_the_reason(name: str, run: Callable[[bytes], Outcome], tmp_path: Path):
    """It is the file's fault, so it goes to quarantine; nothing is left of a result."""
    data, told = REFUSED[name]

    outcome = run(data)

    assert isinstance(outcome, Failed), outcome
    assert (outcome.blame, told in outcome.reason) == (Blame.FILE, True), outcome.reason
    assert outcome.is_final == (name == "text")  # all others may still be being written
    assert not (tmp_path / "cat.part").exists()
