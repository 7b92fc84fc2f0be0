"""The public Python interface: the same bytes as `cvunetd cut`, sources, results, errors."""

import inspect
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms

import cvunet
from cvunet import (
    Adjustments,
    Cutout,
    FileError,
    ImageError,
    OptionError,
    Picture,
    Predictor,
    WeightsError,
    cut_out,
    cut_out_batch,
    cutout,
    open_predictor,
    read_picture,
    weights,
)
from cvunet.matte import confidence
from cvunet.models import manifest
from cvunet.network.network import CVUNet, NetworkConfig
from daemon.commands.cut import cut
from daemon.config.model_schema import Model
from daemon.config.schema import Config

ROOT = Path(__file__).parents[1]
SMALL = NetworkConfig(width=0.35, aspp_channels=16, decoder_channels=(16, 8, 8, 8))
SIDE = 64


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network's weights, recorded in a manifest."""
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("models") / "small.pth"
    weights.save(path, CVUNet(SMALL), config=SMALL, provenance={})
    weights.record_file(path)
    return path


@pytest.fixture(scope="module")
def predictor(file: Path) -> Predictor:
    """The small network on the CPU."""
    return open_predictor(file, device="cpu", input_size=SIDE)


@pytest.fixture
def pixels() -> NDArray[np.uint8]:
    """A bright disc on noise, 120 x 90."""
    noise = np.random.default_rng(1).integers(0, 120, (90, 120, 3), np.uint8)
    return cv2.circle(noise, (60, 45), 30, (240, 200, 90), -1).astype(np.uint8, copy=False)


@pytest.fixture
def photos(tmp_path: Path, pixels: NDArray[np.uint8]) -> list[Path]:
    """A turned JPEG with a profile, a PNG with transparency, and one of 16 bits."""
    folder = tmp_path / "photos"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(pixels).save(folder / "turned.jpg", exif=exif, icc_profile=profile)
    clear = np.dstack([pixels, np.tile(np.linspace(0, 255, 120).astype(np.uint8), (90, 1))])
    Image.fromarray(clear).save(folder / "clear.png")
    assert cv2.imwrite(str(folder / "deep.png"), pixels.astype(np.uint16) * 250 + 7)
    return sorted(folder.iterdir())


def by_command(base: Path, photos: list[Path], **settings: object) -> Iterator[bytes]:
    """What `cvunetd cut` makes of pictures, with these settings of a configuration."""
    config = base / "config.yaml"
    config.write_text(json.dumps(settings))
    for result in cut(photos, base / "out", config, start_logging=lambda level, format: None):
        assert result.target is not None, result.reason
        yield result.target.read_bytes()


def test_bytes_are_those_of_the_command(
    tmp_path: Path, file: Path, predictor: Predictor, photos: list[Path]
):
    """`cvunetd cut` with default settings, but for the small network."""
    model = {"weights": str(file), "device": "cpu", "input_size": SIDE}
    expected = list(by_command(tmp_path, photos, model=model))

    for photo, data in zip(photos, expected, strict=True):
        target = tmp_path / f"{photo.stem}.png"
        cut_out(predictor, read_picture(photo)).save(target)
        assert data == target.read_bytes(), photo


def test_adjustments_are_those_of_the_command(
    tmp_path: Path, file: Path, predictor: Predictor, photos: list[Path]
):
    """Of the configuration, too; the confidence is that of the alpha before them."""
    model = {"weights": str(file), "device": "cpu", "input_size": SIDE}
    values: dict[str, Any] = {
        "low": 0.2,
        "high": 0.7,
        "shift_px": 1.5,
        "feather_px": 2,
        "keep": "largest",
    }
    adjustments = Adjustments(**values)
    expected = list(by_command(tmp_path, photos, model=model, postprocess={"adjust": values}))

    for photo, data in zip(photos, expected, strict=True):
        plain = cut_out(predictor, read_picture(photo))
        adjusted = cut_out(predictor, read_picture(photo), adjustments=adjustments)
        adjusted.save(tmp_path / f"{photo.stem}.png")
        assert data == (tmp_path / f"{photo.stem}.png").read_bytes(), photo
        assert not np.array_equal(plain.rgba, adjusted.rgba)
        assert plain.confidence == adjusted.confidence


@pytest.mark.parametrize(
    ("suffix", "format"), [(".jpg", "jpeg"), (".webp", "webp"), (".tif", "tiff"), (".avif", "avif")]
)
def test_other_formats_are_those_of_the_command(
    tmp_path: Path, file: Path, predictor: Predictor, photos: list[Path], suffix: str, format: str
):
    """Chosen by the suffix; pictures are read in the depth that the format holds."""
    model = {"weights": str(file), "device": "cpu", "input_size": SIDE}
    expected = list(by_command(tmp_path, photos, model=model, output={"format": format}))

    for photo, data in zip(photos, expected, strict=True):
        picture = read_picture(photo, depth="auto" if format == "tiff" else 8)
        cut_out(predictor, picture).save(tmp_path / f"{photo.stem}{suffix}")
        assert data == (tmp_path / f"{photo.stem}{suffix}").read_bytes(), photo


def test_backgrounds_are_those_of_the_command(
    tmp_path: Path, file: Path, predictor: Predictor, photos: list[Path]
):
    """A colour, and a picture that fills the frame."""
    model = {"weights": str(file), "device": "cpu", "input_size": SIDE}
    behind = np.random.default_rng(2).integers(0, 255, (70, 50, 3), np.uint8)
    Image.fromarray(behind).save(tmp_path / "behind.png")
    cutouts = [cut_out(predictor, read_picture(photo)) for photo in photos]

    for setting, background in (("#10c0ff", "#10c0ff"), ("behind.png", behind)):
        output = {"background": setting}
        expected = by_command(tmp_path, photos, model=model, output=output)
        found = [each.encode("png", background=background) for each in cutouts]
        assert list(expected) == found, setting


def test_defaults_are_those_of_the_configuration():
    """Nobody has to know two sets of them."""
    opening = inspect.signature(open_predictor).parameters
    model, worker = Model(), Config().worker

    assert {name: opening[name].default for name in ("device", "precision", "input_size")} == {
        "device": model.device,
        "precision": model.precision,
        "input_size": model.input_size,
    }
    assert opening["mirror"].default is model.mirror
    limit = inspect.signature(read_picture).parameters["max_pixels"].default
    assert limit == worker.max_megapixels * 1_000_000


def test_shipped_weights_are_the_default():
    """Of a source tree, the file in `models`."""
    assert weights.installed() == ROOT / "models/cvunet.pth"


def test_missing_weights_say_where_they_were_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A package without weights."""
    monkeypatch.setattr(manifest, "__file__", str(tmp_path / "cvunet/models/manifest.py"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))

    with pytest.raises(WeightsError, match=f"{tmp_path}/models/cvunet.pth.*name a weights file"):
        open_predictor()


def test_all_sources_give_the_same_picture(tmp_path: Path, pixels: NDArray[np.uint8]):
    """A path, its text, bytes, an open file, one that cannot seek, an array."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    data = path.read_bytes()

    for source in (path, str(path), data, io.BytesIO(data), Pipe(data), pixels):
        assert np.array_equal(pixels, read_picture(source).rgb)


def test_an_array_is_copied(pixels: NDArray[np.uint8]):
    """What its owner does with it later does not change the picture."""
    picture = read_picture(pixels)
    first = pixels.copy()
    pixels[:] = 0

    assert np.array_equal(first, picture.rgb)


def test_cutout_has_the_shapes_that_it_promises(predictor: Predictor, pixels: NDArray[np.uint8]):
    """RGBA of the picture's size, alpha in [0, 1], a confidence, the picture."""
    picture = read_picture(pixels)

    made = cut_out(predictor, picture)

    assert (made.rgba.shape, made.rgba.dtype) == ((90, 120, 4), np.dtype(np.uint8))
    assert (made.alpha.shape, made.alpha.dtype) == ((90, 120), np.dtype(np.float32))
    assert np.array_equal(np.round(made.alpha * 255), made.rgba[..., 3])
    assert 0 <= made.confidence.score <= 1
    assert made.picture is picture


def test_deep_picture_stays_deep(predictor: Predictor, photos: list[Path]):
    """16 bits in, 16 bits out, alpha still in [0, 1]; formats of 8 bits get 8."""
    made = cut_out(predictor, read_picture(photos[1]))
    with Image.open(io.BytesIO(made.encode("webp"))) as shallow:
        size = shallow.size

    assert made.rgba.dtype == np.uint16
    assert 0 < float(made.alpha.max()) <= 1
    assert size == (120, 90)


def painted(alpha: int) -> Cutout:
    """Two grey pixels of an alpha; the network has no part in it."""
    rgba = np.full((1, 2, 4), 100, np.uint8)
    rgba[..., 3] = alpha
    picture = Picture(rgba[..., :3], None, (), "array")
    blank = np.zeros((SIDE, SIDE), np.float32)
    return Cutout(rgba, confidence.judge(blank), picture)


def test_on_a_colour():
    """As text and as numbers. The background shows where the alpha is 0, not where it is 1."""
    red = (255, 0, 0)

    assert painted(0).on("#ff0000").tolist() == [[[*red]] * 2]
    assert painted(0).on(red).tolist() == [[[*red]] * 2]
    assert painted(255).on(red).tolist() == [[[100, 100, 100]] * 2]


def test_jupyter_shows_a_png():
    """By the method that it asks for."""
    assert painted(255)._repr_png_().startswith(b"\x89PNG")


def test_batch_is_in_order_and_as_single_pictures(predictor: Predictor, photos: list[Path]):
    """On one CPU, also to the byte."""
    pictures = [read_picture(photo) for photo in photos]

    together = cut_out_batch(predictor, pictures)

    assert cut_out_batch(predictor, []) == []
    for picture, made in zip(pictures, together, strict=True):
        assert made.picture is picture
        assert made.rgba.shape[:2] == picture.rgb.shape[:2]
        assert np.allclose(made.alpha, cut_out(predictor, picture).alpha, atol=0.01)


def test_threads_share_a_predictor(predictor: Predictor, photos: list[Path]):
    """Four at once give what one after another gives."""
    pictures = [read_picture(photo) for photo in photos] * 4
    expected = [cut_out(predictor, picture).encode() for picture in pictures]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda picture: cut_out(predictor, picture).encode(), pictures))

    assert expected == found


def closed() -> BinaryIO:
    """A file that somebody has read already."""
    stream = io.BytesIO(b"")
    stream.close()
    return stream


def test_a_file_that_is_open_as_text(tmp_path: Path):
    """Also behind a wrapper that does not say so."""
    (tmp_path / "a.txt").write_text("text")
    with tempfile.NamedTemporaryFile("w+") as wrapped, (tmp_path / "a.txt").open() as text:
        for stream in (wrapped, text):
            with pytest.raises(OptionError, match="open as text"):
                read_picture(stream)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"metadata": "none"}, "metadata is 'none': choose one of strip, copyright, keep"),
        ({"depth": 12}, "depth is 12: choose one of auto, 8, 16"),
        ({"depth": "16"}, "depth is '16': choose one of auto, 8, 16"),
    ],
)
def test_reading_options_that_cannot_be_used(options: dict[str, Any], told: str):
    """Told for files and for arrays; a misspelt `metadata` must not publish whose picture it is."""
    exif = Image.Exif()
    exif[0x013B] = "Ann"
    owned = io.BytesIO()
    Image.new("RGB", (4, 4)).save(owned, "JPEG", exif=exif)

    for source in (owned, np.zeros((4, 4, 3), np.uint8)):
        with pytest.raises(OptionError, match=told):
            read_picture(source, **options)


@pytest.mark.parametrize(
    ("source", "error", "told"),
    [
        ("absent.jpg", FileError, r"absent\.jpg: cannot be read .No such file"),
        (".", FileError, r"\.: cannot be read .Is a directory"),
        (b"", ImageError, "the picture: the file is empty"),
        (b"text, no picture", ImageError, "not a picture in a known format"),
        (np.zeros((4, 4), np.uint8), ImageError, r"shape \(4, 4\).*height x width x 3"),
        (np.zeros((4, 4, 3), np.float32), ImageError, "float32: give"),
        (np.zeros((0, 4, 3), np.uint8), ImageError, "shape"),
        (np.zeros((40, 40, 3), np.uint8), ImageError, "40x40 pixels; the limit is 1000"),
        (7, OptionError, "the picture is a int: give a path"),
        ("a\0b.jpg", FileError, r"'a\\x00b\.jpg': no file can have this name"),
        ("a\ud800.jpg", FileError, r"'a\\ud800\.jpg': no file can have this name"),
        (io.StringIO("text"), OptionError, "the picture is open as text: open it with mode 'rb'"),
        (closed(), OptionError, "the picture is a file that is closed"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_sources_that_cannot_be_read(source: cutout.Source, error: type[Exception], told: str):
    """What it is, and what to do."""
    with pytest.raises(error, match=told):
        read_picture(source, max_pixels=1000)


@pytest.mark.parametrize("source", [b"", np.zeros((2, 2, 3), np.uint8)])
@pytest.mark.parametrize("limit", [None, "1000"])
def test_limit_that_is_no_number(source: cutout.Source, limit: Any):
    """It is told before anything is read."""
    with pytest.raises(OptionError, match=r"max_pixels is .*: give a number"):
        read_picture(source, max_pixels=limit)


def test_damaged_file_is_named(tmp_path: Path):
    """Of many pictures, which."""
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 and no more")

    with pytest.raises(ImageError, match=r"broken\.jpg: .*damaged"):
        read_picture(broken)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"precision": "float8"}, "precision is 'float8': choose one of auto, float32"),
        ({"input_size": 100}, "input_size is 100; it must be a multiple of 32"),
        ({"input_size": "512"}, "input_size is '512'; it must be a multiple of 32"),
        ({"input_size": 512.0}, "input_size is 512.0; it must be a multiple of 32"),
    ],
)
def test_options_that_cannot_be_used(
    file: Path,
    options: dict[str, object],
    told: str,
):
    """They are ValueErrors, too."""
    with pytest.raises(OptionError, match=told) as caught:
        open_predictor(file, **options)  # type: ignore[arg-type]  # wrong on purpose

    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    "background",
    [
        *("red", "#12", (1, 2), (0, 0, 256), np.zeros((2, 2)), None),
        *(np.zeros((0, 5, 3), np.uint8), np.zeros((5, 0, 3), np.uint8)),
    ],
)
def test_backgrounds_that_are_none(background: cutout.Background):
    """Told as what they are."""
    with pytest.raises(OptionError, match=r"background (is|has)"):
        painted(255).on(background)


def test_unknown_formats():
    """By suffix or by name; nothing is written."""
    with pytest.raises(OptionError, match=r"cat\.bmp: unknown suffix: use one of \.png"):
        painted(255).save("cat.bmp")
    with pytest.raises(OptionError, match="format is 'bmp': choose one of png"):
        painted(255).encode("bmp")  # type: ignore[arg-type]  # wrong on purpose


def test_save_where_nothing_can_be_written(tmp_path: Path):
    """The file and the reason; no temporary file stays."""
    with pytest.raises(FileError, match=r"none/cat\.png: cannot be written .No such file"):
        painted(255).save(tmp_path / "none/cat.png")
    (tmp_path / "cat.png").mkdir()
    with pytest.raises(FileError, match=r"cat\.png: cannot be written .Is a directory"):
        painted(255).save(tmp_path / "cat.png")

    assert [path.name for path in tmp_path.iterdir()] == ["cat.png"]


@pytest.mark.parametrize("name", ["a\0.png", "a\ud800.png", ".", "", "/"])
def test_save_under_a_name_that_no_file_can_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    """Also where it is the name of a folder."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileError, match=r"no file can have|Is a directory"):
        painted(255).save(name, format="png")

    assert not list(tmp_path.iterdir())


def test_weights_of_a_name_that_no_file_can_have():
    """As with pictures."""
    with pytest.raises(FileError, match="no file can have this name"):
        open_predictor("a\0.pth")


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import cvunet", {"torch", "cv2", "numpy", "PIL"}),
        ("import cvunet.pictures.encoding", {"torch"}),
        ("from cvunet import ImageError", {"torch", "cv2"}),
    ],
)
def test_import_loads_what_is_used(statement: str, absent: set[str]):
    """A program that only looks at the version must not wait for torch."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"

    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert set(ended.stdout.split()) & absent == set()


def test_public_names():
    """All can be had, `dir` shows them, and another name is an AttributeError."""
    assert set(cvunet.__all__) <= set(dir(cvunet))
    for name in cvunet.__all__:
        assert getattr(cvunet, name).__name__ == name
    with pytest.raises(AttributeError, match="no public name 'cut_in'"):
        cvunet.cut_in  # noqa: B018  # the access itself is what fails


def test_types_ship_with_the_package():
    """PEP 561: type checkers read the annotations of an installed package."""
    assert (ROOT / "cvunet/py.typed").exists()
    assert "cvunet = py.typed" in (ROOT / "setup.cfg").read_text(encoding="utf-8")
