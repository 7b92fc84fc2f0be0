"""Each family of models in a tiny file: recognised, described, and asked as its authors do it."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from cvunet.errors import CvunetError, DeviceError, DocumentError, OptionError, WeightsError
from cvunet.inference import model_files, onnx_predictor, onnx_session, runtimes
from cvunet.inference.onnx_predictor import OnnxPredictor
from cvunet.inference.runtimes import ModelOptions
from cvunet.models import description as descriptions
from cvunet.models import families
from cvunet.pictures.reading import Picture
from tests.inference import onnx_kit

U2NET, LARGE, OPEN = (1, 3, 320, 320), (1, 3, 1024, 1024), ("batch", 3, "height", "width")
#: File name, input, number of outputs, and the family that it is.
FILES = [
    ("u2net.onnx", U2NET, 7, "u2net"),
    ("u2netp.onnx", U2NET, 7, "u2netp"),
    ("u2net_human_seg.onnx", U2NET, 7, "u2net-human-seg"),
    ("silueta.onnx", U2NET, 7, "silueta"),
    ("isnet-general-use.onnx", LARGE, 1, "isnet-general-use"),
    ("isnet-anime.onnx", LARGE, 1, "isnet-anime"),
    ("birefnet-general.onnx", LARGE, 1, "birefnet-general"),
    ("BiRefNet-general-epoch_244.onnx", LARGE, 1, "birefnet-general"),
    ("BiRefNet-general-bb_swin_v1_tiny-epoch_232.onnx", LARGE, 1, "birefnet-general-lite"),
    ("birefnet-portrait.onnx", LARGE, 1, "birefnet-portrait"),
    ("BiRefNet-DIS-epoch_590.onnx", LARGE, 1, "birefnet-dis"),
    ("BiRefNet-HRSOD_DHU-epoch_115.onnx", LARGE, 1, "birefnet-hrsod"),
    ("BiRefNet-COD-epoch_125.onnx", LARGE, 1, "birefnet-cod"),
    ("BiRefNet-massive-TR_DIS5K_TR_TEs-epoch_420.onnx", LARGE, 1, "birefnet-massive"),
    ("bria-rmbg-2.0.onnx", LARGE, 1, "bria-rmbg"),
    ("bria-rmbg.onnx", LARGE, 1, "bria-rmbg"),
    ("rmbg-1.4.onnx", LARGE, 1, "bria-rmbg-1.4"),
    ("ben2_base.onnx", LARGE, 1, "ben2"),
    ("modnet_photographic_portrait_matting.onnx", OPEN, 1, "modnet"),
]


def opened(path: Path) -> OnnxPredictor:
    """As the daemon opens it."""
    found = runtimes.open_predictor(ModelOptions(file=path, device="cpu", threads=1))
    assert isinstance(found, OnnxPredictor)
    return found


def test_every_family_has_a_file_here():
    """A new one needs a line above."""
    assert {name for *_, name in FILES} == set(families.BY_NAME)


@pytest.mark.parametrize(("name", "shape", "outputs", "family"), FILES)
def test_file_is_recognised_and_runs(
    tmp_path: Path, name: str, shape: tuple[int | str, ...], outputs: int, family: str
):
    """By name and shape; its entry is whole, and a picture gives an alpha of its own shape."""
    path = onnx_kit.write(tmp_path / name, shape=shape, outputs=outputs)
    added = model_files.add(path)
    predictor = opened(path)
    small = predictor.prepare(Picture(np.full((90, 150, 3), 200, np.uint8), None, (), "test"))
    (alpha,) = predictor.predict([small])

    assert (added.description.family, added.entry.name) == (family, f"{path.stem}.yaml")
    assert alpha.shape == small.shape[:2]
    assert alpha.dtype == np.float32
    assert 0 <= float(alpha.min()) <= float(alpha.max()) <= 1


def test_bria_is_not_for_commercial_use(tmp_path: Path):
    """People must read it before they use it."""
    path = onnx_kit.write(tmp_path / "bria-rmbg.onnx", shape=LARGE)

    assert "not for commercial use" in model_files.add(path).description.licence


def test_checksum_of_rembg_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whatever the file is called; another file of rembg that finds clothes is refused."""
    path = onnx_kit.write(tmp_path / "mine.onnx", outputs=7)
    monkeypatch.setattr(families, "md5_of", lambda _: families.BY_NAME["silueta"].md5)
    assert model_files.add(path).description.family == "silueta"

    monkeypatch.setattr(families, "md5_of", lambda _: next(iter(families.OTHERS)))
    with pytest.raises(WeightsError, match="finds clothes"):
        model_files.add(path)


@pytest.mark.parametrize(
    ("shape", "outputs", "expected"),
    [
        (LARGE, 1, r"fits isnet-anime, .*ben2, and its name does not say which: say --family NAME"),
        (U2NET, 7, r"fits u2netp, .*silueta, and its name does not"),
        (OPEN, 1, r"fits isnet-anime, .*modnet, and its name does not"),
        ((1, 3, 512, 512), 1, r"fits no known family .* describe it yourself in x\.yaml"),
        (U2NET, 1, r"fits no known family"),
    ],
)
def test_doubt_is_told_and_nothing_written(
    tmp_path: Path, shape: tuple[int | str, ...], outputs: int, expected: str
):
    """A wrong guess would give bad mattes for years."""
    path = onnx_kit.write(tmp_path / "x.onnx", shape=shape, outputs=outputs)
    with pytest.raises(WeightsError, match=expected):
        model_files.add(path)

    assert not path.with_suffix(".yaml").exists()


def test_person_says_the_family(tmp_path: Path):
    """It must be one that the file can be."""
    path = onnx_kit.write(tmp_path / "x.onnx", shape=LARGE)

    assert model_files.add(path, family="ben2").description.family == "ben2"
    with pytest.raises(WeightsError, match="cannot be a u2net: its input is 1x3x1024x1024"):
        model_files.add(path, family="u2net")
    with pytest.raises(WeightsError, match="there is no family 'bird'"):
        model_files.add(path, family="bird")


# --- what the network is given, and what its answer becomes ------------------------------------


def custom(path: Path, **changes: object) -> Path:
    """An entry written by hand, for a tiny model."""
    entry = {
        "sha256": descriptions.sha256_of(path),
        "bytes": path.stat().st_size,
        "width": 64,
        "height": 32,
        "mean": [0.5, 0.25, 0],
        "deviation": [0.5, 1, 1],
        "answer": "probabilities",
    } | changes
    path.with_suffix(".yaml").write_text(yaml.safe_dump(entry))
    return path


def plain(level: int, rows: int = 32, columns: int = 64) -> np.ndarray:
    """A small picture of one grey."""
    return np.full((rows, columns, 3), level, np.uint8)


@pytest.mark.parametrize(
    ("channel", "scale", "expected"),
    [(0, 255, (0.6 - 0.5) / 0.5), (1, 255, 0.6 - 0.25), (2, 255, 0.6), (2, "max", 1.0)],
)
def test_pixels_are_normalised_by_channel(
    tmp_path: Path, channel: int, scale: int | str, expected: float
):
    """(x / scale - mean) / deviation, red first; max is the picture's own."""
    path = onnx_kit.write(tmp_path / "m.onnx", shape=(1, 3, 32, 64), channel=channel)
    (alpha,) = opened(custom(path, scale=scale)).predict([plain(153)])

    np.testing.assert_allclose(alpha, expected, atol=1e-6)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("kind", ["float", "float16"])
def test_layout_and_half_precision(tmp_path: Path, layout: str, kind: str):
    """Of inputs; the alpha is float32 and lies as the picture does."""
    shape = (1, 3, 32, 64) if layout == "nchw" else (1, 32, 64, 3)
    path = custom(
        onnx_kit.write(tmp_path / "m.onnx", shape=shape, channel=2, kind=kind), layout=layout
    )
    picture = plain(0)
    picture[:8, :, 2] = 255
    (alpha,) = opened(path).predict([picture])

    assert alpha.dtype == np.float32
    np.testing.assert_allclose(alpha, picture[..., 2] / 255, atol=1e-3)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("logits", 1 / (1 + np.exp(-4.0))), ("probabilities", 1.0), ("min-max", 1.0)],
)
def test_answers_become_alpha(tmp_path: Path, answer: str, expected: float):
    """Four for white and 0 for black: sigmoid, clipped, or stretched."""
    path = onnx_kit.write(tmp_path / "m.onnx", shape=(1, 3, 32, 64), channel=2, gain=4)
    picture = plain(0)
    picture[:, 32:] = 255
    (alpha,) = opened(custom(path, answer=answer)).predict([picture])

    assert float(alpha[0, -1]) == pytest.approx(expected, abs=1e-6)
    assert float(alpha[0, 0]) == pytest.approx(0.5 if answer == "logits" else 0)


def test_flat_answer_is_not_stretched(tmp_path: Path):
    """Noise must not become a subject."""
    path = onnx_kit.write(tmp_path / "m.onnx", shape=(1, 3, 32, 64), channel=2)
    (alpha,) = opened(custom(path, answer="min-max")).predict([plain(51)])

    np.testing.assert_allclose(alpha, 0.2, atol=1e-6)


def test_letterbox_keeps_the_aspect_and_cuts_its_margins_off(tmp_path: Path):
    """The alpha has the shape of the small picture; margins are the mean."""
    path = onnx_kit.write(tmp_path / "m.onnx", shape=(1, 3, 32, 64), channel=2)
    predictor = opened(custom(path, fit="letterbox"))
    small = predictor.prepare(Picture(plain(255, 100, 100), None, (), "test"))
    (alpha,) = predictor.predict([small])

    assert small.shape == (32, 32, 3)
    np.testing.assert_allclose(alpha, np.ones((32, 32)), atol=1e-6)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((512, 512), (512, 512)), ((1024, 600), (864, 512)), ((600, 1300), (512, 1088)),
     ((10_000, 50), (2048, 512)), ((1, 1), (512, 512))],
)  # fmt: skip
def test_modnet_sees_multiples_of_32(size: tuple[int, int], expected: tuple[int, int]):
    """The shorter side has 512 pixels; a strip of any length stays within memory."""
    family = families.BY_NAME["modnet"]
    path = Path(__file__)
    signature = families.Signature(OPEN, 1)
    described = families.describe(path, family, signature, sha256="")

    own = described.width, described.height
    assert descriptions.shown_sides(described.fit, own, size) == expected


def test_pictures_of_several_sizes_are_one_batch(tmp_path: Path):
    """A model that takes any size gets those of one size at once, others one by one."""
    path = onnx_kit.write(tmp_path / "modnet.onnx", shape=OPEN)
    model_files.add(path)
    predictor = opened(path)
    same = predictor.predict([plain(255, 64, 96), plain(0, 64, 96)])
    mixed = predictor.predict([plain(255, 64, 96), plain(255, 96, 64)])

    assert [alpha.shape for alpha in same] == [(64, 96)] * 2
    assert [alpha.shape for alpha in mixed] == [(64, 96), (96, 64)]


def test_named_output_is_used(tmp_path: Path):
    """By default it is the first."""
    path = onnx_kit.write(tmp_path / "m.onnx", shape=(1, 3, 32, 64), channel=2, outputs=2)
    first, second = (
        opened(custom(path, output=name)).predict([plain(255)])[0] for name in ("", "answer.1")
    )

    assert (float(first.max()), float(second.max())) == (1, 0)
    with pytest.raises(WeightsError, match=r"no output 'x': it has answer\.0, answer\.1"):
        opened(custom(path, output="x"))


def test_answer_that_is_no_number_is_an_error(tmp_path: Path):
    """It fails its picture; see the worker's tests for what follows."""
    path = onnx_kit.write(tmp_path / "m.onnx", shape=(1, 3, 32, 64), gain=float("nan"))
    with pytest.raises(CvunetError, match="not a number"):
        opened(custom(path)).predict([plain(255)])


# --- files that cannot be used -----------------------------------------------------------------


def test_file_that_was_cut_short_is_told(tmp_path: Path):
    """With how much of it is there."""
    path = custom(onnx_kit.write(tmp_path / "m.onnx", shape=(1, 3, 32, 64)))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(WeightsError, match=r"SHA-256 .* it has 100 bytes of \d+: fetch the file"):
        opened(path)


def test_replaced_file_is_told(tmp_path: Path):
    """Nobody looks at its pixels otherwise."""
    path = custom(onnx_kit.write(tmp_path / "m.onnx", shape=(1, 3, 32, 64)))
    onnx_kit.write(path, shape=(1, 3, 32, 64), gain=2)
    with pytest.raises(WeightsError, match="if you have replaced it, describe it first"):
        opened(path)


def test_file_without_a_description_is_told(tmp_path: Path):
    """With the command that makes one."""
    path = onnx_kit.write(tmp_path / "m.onnx")
    with pytest.raises(WeightsError, match=f"cvunetd models add {path}"):
        opened(path)
    with pytest.raises(WeightsError, match="no model is there"):
        opened(tmp_path / "absent.onnx")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"mean": [123.675, 116.28, 103.53]}, r"123\.675 is written 0\.485"),
        ({"mean": [0.5]}, "three numbers, for red, green and blue"),
        ({"mean": [0.5, "x", 0.5]}, "three numbers"),
        ({"mean": [0.5, float("nan"), 0.5]}, "three numbers"),
        ({"deviation": [0.5, 0, 0.5]}, "must be above 0"),
        ({"answer": "sigmoid"}, "choose one of logits, probabilities, min-max"),
        ({"fit": "crop"}, "choose one of squeeze, letterbox, shorter"),
        ({"width": 10}, "a whole number from 32 to 4096"),
        ({"height": "32"}, "a whole number"),
        ({"widht": 64}, "unknown key 'widht'"),
        ({"bytes": "176 MB"}, "bytes is '176 MB': a whole number"),
        ({"sha256": 4711}, "sha256 is 4711: 64 hexadecimal digits"),
        ({"width": 96}, "its description says 96x32"),
    ],
)
def test_wrong_entry_is_told(tmp_path: Path, changes: dict[str, object], expected: str):
    """A wrong mean shows in no error later, only in bad mattes."""
    path = custom(onnx_kit.write(tmp_path / "m.onnx", shape=(1, 3, 32, 64)), **changes)
    with pytest.raises(WeightsError, match=expected):
        opened(path)


def test_checksum_in_capitals_is_the_same(tmp_path: Path):
    """As some programs write it."""
    path = onnx_kit.write(tmp_path / "m.onnx", shape=(1, 3, 32, 64))
    custom(path, sha256=descriptions.sha256_of(path).upper())

    assert opened(path).description.height == 32


@pytest.mark.parametrize("shape", [(1, 3, 32, 64), (1, 3, "height", 64), (1, 32, 64, 3)])
def test_shorter_needs_open_sides(tmp_path: Path, shape: tuple[int | str, ...]):
    """Only pictures of one shape would fit otherwise, and all others would fail."""
    layout = "nhwc" if shape[3] == 3 else "nchw"
    path = custom(onnx_kit.write(tmp_path / "m.onnx", shape=shape), fit="shorter", layout=layout)
    with pytest.raises(WeightsError, match="use fit: squeeze or letterbox"):
        opened(path)


def test_missing_key_of_an_entry_is_told(tmp_path: Path):
    """By its name."""
    path = custom(onnx_kit.write(tmp_path / "m.onnx", shape=(1, 3, 32, 64)))
    entry = yaml.safe_load(path.with_suffix(".yaml").read_text())
    del entry["mean"]
    path.with_suffix(".yaml").write_text(yaml.safe_dump(entry))
    with pytest.raises(WeightsError, match="key 'mean' is missing"):
        opened(path)


def test_entry_in_the_manifest_does_too(tmp_path: Path):
    """For models that are shipped together."""
    path = custom(onnx_kit.write(tmp_path / "m.onnx", shape=(1, 3, 32, 64), channel=2))
    entry = yaml.safe_load(path.with_suffix(".yaml").read_text())
    path.with_suffix(".yaml").unlink()
    (tmp_path / "manifest.yaml").write_text(yaml.safe_dump({"models": {"m.onnx": entry}}))

    assert float(opened(path).predict([plain(255)])[0].min()) == 1


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ({"inputs": 2}, "has 2 inputs"),
        ({"domain": "com.example"}, "uses an operator that onnxruntime does not have"),
        ({"shape": (1, 3, 320)}, "fits no known family"),
        ({"shape": (4, 3, 320, 320), "outputs": 7}, "takes batches of 4 only"),
        ({"kind": "int32", "outputs": 7}, "it must be float or float16"),
    ],
)
def test_odd_models_are_refused(tmp_path: Path, made: dict[str, object], expected: str):
    """When they are added, and so before the daemon ever starts with them."""
    path = onnx_kit.write(tmp_path / "u2net.onnx", **made)  # type: ignore[arg-type]
    with pytest.raises(WeightsError, match=expected):
        model_files.add(path)


def test_no_model_at_all_is_told(tmp_path: Path):
    """Half a download, a page of HTML."""
    path = tmp_path / "u2net.onnx"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(WeightsError, match="no model that onnxruntime can run"):
        model_files.add(path)
    with pytest.raises(WeightsError, match=r"python -m cvunet\.weights record"):
        model_files.add(tmp_path / "own.pth")


def test_weights_in_a_second_file_are_refused(tmp_path: Path):
    """No hash would cover them."""
    path = tmp_path / "u2net.onnx"
    path.write_bytes(onnx_kit.write(path).read_bytes() + b"\x0a\x08location\x12\x04data")
    with pytest.raises(WeightsError, match="in a second file"):
        onnx_session.open_session(path, device="cpu", threads=1)


def test_cuda_that_is_absent_ends_the_start(tmp_path: Path):
    """It never becomes the CPU in silence."""
    if onnx_session.has_cuda():
        pytest.skip("this onnxruntime has CUDA")
    path = custom(onnx_kit.write(tmp_path / "m.onnx", shape=(1, 3, 32, 64)))
    options = ModelOptions(file=path, device="cuda:0")
    with pytest.raises(DeviceError, match="onnxruntime-gpu"):
        runtimes.open_predictor(options)
    with pytest.raises(DeviceError, match="onnxruntime-gpu"):
        runtimes.find_device(options)


def test_onnx_file_in_torch_is_refused(tmp_path: Path):
    """There is nothing that could run it."""
    path = custom(onnx_kit.write(tmp_path / "m.onnx", shape=(1, 3, 32, 64)))
    with pytest.raises(OptionError, match="needs runtime: onnxruntime"):
        runtimes.open_predictor(ModelOptions(file=path, runtime="torch"))


def test_want_of_memory_and_dead_devices_are_known_by_their_texts():
    """They mean other things for the daemon than a fault of a picture."""
    kinds = [
        type(onnx_session.translate(Exception(text))).__name__
        for text in ("Failed to allocate memory for 1 GB", "CUDA failure 700", "Invalid feed")
    ]

    assert kinds == ["DeviceMemoryError", "DeviceError", "RuntimeError"]


def test_description_survives_yaml(tmp_path: Path):
    """What is written is what is read."""
    described = model_files.add(onnx_kit.write(tmp_path / "u2netp.onnx", outputs=7)).description
    entry = yaml.safe_load((tmp_path / "u2netp.yaml").read_text())

    assert descriptions.from_entry(entry, where="here") == described
    with pytest.raises(DocumentError, match="here: fit is 'x'"):
        descriptions.from_entry(entry | {"fit": "x"}, where="here")


def test_model_is_tried_on_the_built_in_picture(tmp_path: Path):
    """Its mean alpha shows whether the entry is sound."""
    path = custom(onnx_kit.write(tmp_path / "m.onnx", shape=(1, 3, 32, 64), channel=2))
    trial = model_files.attempt(opened(path))

    assert trial.sides == (64, 32)
    assert 0 < trial.share < 1
    assert trial.first_s > 0 < trial.later_s


def test_check_without_a_model_that_runs_says_why(tmp_path: Path):
    """`check_file` opens it."""
    path = custom(onnx_kit.write(tmp_path / "m.onnx", shape=(1, 3, 32, 64)), width=128)
    with pytest.raises(WeightsError, match="128x32"):
        runtimes.check_file(ModelOptions(file=path))
    assert onnx_predictor.fits("width", 64)
