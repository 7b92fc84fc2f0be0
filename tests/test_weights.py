"""Weights files: what is recorded is what is loaded."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cvunet import weights, yaml_files
from cvunet.errors import WeightsError
from cvunet.network.network import CVUNet, NetworkConfig

SMALL = NetworkConfig(width=0.35, aspp_channels=16, decoder_channels=(16, 8, 8, 8))


@pytest.fixture(scope="module")
def model() -> CVUNet:
    torch.manual_seed(0)
    return CVUNet(SMALL).eval()


@pytest.fixture
def path(tmp_path: Path, model: CVUNet) -> Path:
    """A recorded weights file."""
    path = tmp_path / "small.pth"
    sha256 = weights.save(path, model, config=SMALL, provenance={"steps": 3})
    weights.record(tmp_path / "manifest.yaml", path.name, sha256, path.stat().st_size)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        weights.load(path)
    text = str(caught.value)
    assert "\n" not in text
    return text


def record_anyway(path: Path) -> None:
    data = path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    weights.record(path.with_name("manifest.yaml"), path.name, sha256, len(data))


def test_loaded_network_answers_alike(path: Path, model: CVUNet):
    """Half precision in the file costs less than a level of alpha."""
    image = torch.rand(1, 3, 64, 64) * 2 - 1

    loaded = weights.load(path)

    with torch.inference_mode():
        difference = (model(image).sigmoid() - loaded(image).sigmoid()).abs().max()
    assert float(difference) < 1 / 255


def test_loaded_network_is_ready_for_use(path: Path):
    """Evaluation mode, float32."""
    loaded = weights.load(path)

    assert not loaded.training
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}


def test_file_is_half_precision(path: Path):
    """Floating numbers as float16, counters whole; provenance beside them."""
    content = torch.load(path, weights_only=True)

    assert {x.dtype for x in content["state_dict"].values()} == {torch.float16, torch.int64}
    assert content["provenance"] == {"steps": 3}


def test_save_returns_the_files_hash(tmp_path: Path, model: CVUNet):
    """SHA-256 of the bytes on disk, and no part file is left."""
    path = tmp_path / "a.pth"

    sha256 = weights.save(path, model, config=SMALL, provenance={})

    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert list(tmp_path.iterdir()) == [path]


def test_overflow_of_half_precision_is_refused(tmp_path: Path):
    """A weight beyond float16 must not become infinity in silence."""
    model = CVUNet(SMALL)
    with torch.no_grad():
        model.head.weight[0, 0, 0, 0] = 1e6

    with pytest.raises(WeightsError, match=r"head\.weight"):
        weights.save(tmp_path / "a.pth", model, config=SMALL, provenance={})

    assert list(tmp_path.iterdir()) == []


def test_record_keeps_other_entries(tmp_path: Path):
    """The manifest holds many files; the same name is replaced."""
    manifest = tmp_path / "manifest.yaml"

    for name, sha256 in (("a.pth", "11"), ("b.pth", "22"), ("a.pth", "33")):
        weights.record(manifest, name, sha256, 7)

    assert yaml_files.read(manifest) == {
        "weights": {"a.pth": {"sha256": "33", "bytes": 7}, "b.pth": {"sha256": "22", "bytes": 7}}
    }


def test_record_keeps_what_else_is_written_of_a_file(tmp_path: Path):
    """A licence that a person has written there is not lost when the weights are replaced."""
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text("weights:\n  one.pth: {sha256: old, bytes: 3, licence: Apache-2.0}\n")

    weights.record(manifest, "one.pth", "new", 7)

    found = yaml_files.read(manifest)["weights"]["one.pth"]
    assert found == {"sha256": "new", "bytes": 7, "licence": "Apache-2.0"}


def test_given_checksum_replaces_the_manifest(path: Path):
    """Another file than the one that was asked for is refused."""
    path.with_name("manifest.yaml").unlink()

    weights.load(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(WeightsError, match="expected 0000"):
        weights.load(path, sha256="0000")


def test_missing_file(tmp_path: Path):
    """The text has the path and the setting."""
    text = refusal(tmp_path / "cvunet.pth")

    assert str(tmp_path / "cvunet.pth") in text
    assert "model.weights" in text


@pytest.mark.parametrize("manifest", [None, "{}", "weights: {}", "weights: [1]", "- 1", "a: ["])
def test_file_without_a_recorded_hash(path: Path, manifest: str | None):
    """No manifest, an odd one, or one without this file: say the hash and how to record it."""
    if manifest is None:
        path.with_name("manifest.yaml").unlink()
    else:
        path.with_name("manifest.yaml").write_text(manifest)

    text = refusal(path)

    assert hashlib.sha256(path.read_bytes()).hexdigest() in text
    assert f"python -m cvunet.weights record {path}" in text


def test_altered_file(path: Path):
    """One changed byte is found; the text has both hashes and the remedy."""
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    text = refusal(path)

    assert expected in text
    assert hashlib.sha256(data).hexdigest() in text
    assert "fetch the file again" in text


@pytest.mark.parametrize("data", [b"", b"nonsense", b"PK\x03\x04" + bytes(100)])
def test_undecodable_file(path: Path, data: bytes):
    """Recorded rubbish is still rubbish."""
    path.write_bytes(data)
    record_anyway(path)

    assert "not the weights of a CV-UNet" in refusal(path)


@pytest.mark.parametrize("key", ["config", "state_dict"])
def test_file_that_lacks_a_part(path: Path, key: str):
    """Both the network's numbers and its weights are needed."""
    content = torch.load(path, weights_only=True)
    del content[key]
    torch.save(content, path)
    record_anyway(path)

    assert key in refusal(path)


def test_weights_of_another_network(path: Path):
    """A missing tensor is named in one line."""
    content = torch.load(path, weights_only=True)
    del content["state_dict"]["head.bias"]
    torch.save(content, path)
    record_anyway(path)

    assert "head.bias" in refusal(path)


def test_unknown_number_of_the_network(path: Path):
    """A configuration of a later version is named."""
    content = torch.load(path, weights_only=True)
    content["config"]["depth"] = 3
    torch.save(content, path)
    record_anyway(path)

    assert "unknown key 'depth'" in refusal(path)


class Trap:
    """Pickles to a call."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit",))


def test_file_with_code_is_refused(path: Path):
    """Only tensors and plain values are unpickled."""
    torch.save({"config": Trap(), "state_dict": {}}, path)
    record_anyway(path)

    assert "not the weights of a CV-UNet" in refusal(path)


def test_record_command(path: Path):
    """Users enter weights of their own from the command line."""
    path.with_name("manifest.yaml").unlink()

    status = weights.main(["record", str(path)])

    assert status == 0
    assert weights.load(path)


def test_record_command_refuses_rubbish(path: Path, caplog: pytest.LogCaptureFixture):
    """A file that is no CV-UNet stays out of the manifest."""
    before = path.with_name("manifest.yaml").read_text()
    path.write_bytes(b"nonsense")

    status = weights.main(["record", str(path)])

    assert status == 1
    assert path.with_name("manifest.yaml").read_text() == before
    assert "not the weights of a CV-UNet" in caplog.text


@pytest.mark.slow
def test_module_runs_as_a_command():
    """`python -m cvunet.weights` explains itself."""
    done = subprocess.run(
        [sys.executable, "-m", "cvunet.weights", "record", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )

    assert "FILE" in done.stdout
