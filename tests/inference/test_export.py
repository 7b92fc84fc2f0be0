"""Our weights in onnxruntime: the same alphas, made once, kept by hash."""

import importlib.util
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cvunet import export, weights
from cvunet.errors import ExportError, OptionError, RuntimeMissing, WeightsError
from cvunet.inference import export_files, onnx_predictor, onnx_session, runtimes, torch_predictor
from cvunet.inference.runtimes import ModelOptions
from cvunet.models import description as descriptions
from cvunet.network import rewriting
from cvunet.network.network import CVUNet, NetworkConfig

pytest.importorskip("onnxruntime")

SIDE = 96
#: Every part that exports: a smaller trunk, the refinement, attention, guidance.
CONFIG = NetworkConfig(
    width=0.35,
    aspp_channels=32,
    decoder_channels=(16, 8, 8, 8),
    trunk_scale=0.875,
    refine_channels=8,
    attention_blocks=1,
    is_guided=True,
)


@pytest.fixture
def own_weights(tmp_path: Path) -> Path:
    """A small network of chance, whose logits are near 0, recorded in its manifest."""
    torch.manual_seed(0)
    path = tmp_path / "models" / "own.pth"
    path.parent.mkdir()
    sha256 = weights.save(path, CVUNet(CONFIG).eval(), config=CONFIG, provenance={})
    weights.record(path.with_name("manifest.yaml"), path.name, sha256, path.stat().st_size)
    return path


def test_exported_network_gives_torchs_alphas(own_weights: Path, tmp_path: Path):
    """On noise and on shapes, one picture and several, to 1/255 by far."""
    target = tmp_path / "own.onnx"
    difference = export.export(own_weights, target, input_size=SIDE)
    described = descriptions.read(target)
    exported = onnx_predictor.open_predictor(target, described, device="cpu", threads=1)
    reference = torch_predictor.open_predictor(
        own_weights, device="cpu", precision="float32", input_size=SIDE
    )
    pictures = list(export.test_pictures(SIDE))

    assert difference <= export.TOLERANCE
    for batch in (pictures[:1], pictures):
        np.testing.assert_allclose(
            np.stack(exported.predict(batch)), np.stack(reference.predict(batch)), atol=1e-5
        )


def test_network_of_a_trunk_alone_is_exported(tmp_path: Path):
    """Nothing is shrunk before it, and nothing refined after it."""
    config = replace(CONFIG, trunk_scale=1.0, refine_channels=0)
    torch.manual_seed(0)
    source = tmp_path / "own.pth"
    sha256 = weights.save(source, CVUNet(config).eval(), config=config, provenance={})
    weights.record(source.with_name("manifest.yaml"), source.name, sha256, source.stat().st_size)

    assert export.export(source, tmp_path / "own.onnx", input_size=SIDE) <= export.TOLERANCE


def test_both_runtimes_look_into_the_mirror(own_weights: Path):
    """Mirrored looks are averaged as logits in both."""
    options = ModelOptions(
        file=own_weights, device="cpu", precision="float32", input_size=SIDE, is_mirrored=True
    )
    picture = list(export.test_pictures(SIDE))[-1]
    (ours,) = runtimes.open_torch(options).predict([picture])
    (theirs,) = runtimes.open_export(options, lambda step: None).predict([picture])

    np.testing.assert_allclose(theirs, ours, atol=1e-5)


def test_torch_has_one_thread_before_it_computes(
    own_weights: Path, monkeypatch: pytest.MonkeyPatch
):
    """A second thread that has worked once would wait in a loop for more work."""
    threads: list[int] = []
    load = weights.load

    def loaded(*given: Any, **named: Any) -> CVUNet:
        threads.append(torch.get_num_threads())
        return load(*given, **named)

    monkeypatch.setattr(weights, "load", loaded)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        runtimes.open_torch(ModelOptions(file=own_weights, device="cpu", input_size=SIDE))
        runtimes.open_torch(
            ModelOptions(file=own_weights, device="cpu", input_size=SIDE, threads=1)
        )
    finally:
        torch.set_num_threads(before)

    assert threads == [2, 1]


def test_export_is_compared_with_the_networks_own_layers(
    own_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A fault in a form that both runtimes share is found."""
    unfold = rewriting.UnfoldingConv.__init__

    def with_fault(self: rewriting.UnfoldingConv, layer: nn.Conv2d, step: int) -> None:
        unfold(self, layer, step)
        assert self.conv.bias is not None
        self.conv.bias = nn.Parameter(self.conv.bias + 0.1)

    monkeypatch.setattr(rewriting.UnfoldingConv, "__init__", with_fault)

    with pytest.raises(ExportError, match="differ"):
        export.export(own_weights, tmp_path / "own.onnx", input_size=SIDE)


def test_runtimes_that_disagree_leave_no_file(
    own_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A wrong export would be wrong for years."""
    monkeypatch.setattr(export, "compare", lambda *_: 0.1)
    target = tmp_path / "own.onnx"
    with pytest.raises(ExportError, match=r"differ by 0\.1 .* use runtime: torch"):
        export.export(own_weights, target, input_size=SIDE)

    assert not [path for path in tmp_path.iterdir() if path.is_file()]


def test_not_a_number_is_no_agreement(
    own_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Comparisons with it are false, so it must not pass."""
    monkeypatch.setattr(export, "compare", lambda *_: float("nan"))
    with pytest.raises(ExportError, match="differ"):
        export.export(own_weights, tmp_path / "own.onnx", input_size=SIDE)


def test_export_is_made_once_beside_the_weights(own_weights: Path):
    """By a child; the second start finds it, and other weights or sizes do not meet it."""
    steps: list[str] = []
    folders = (own_weights.parent,)
    made, described = export_files.find_or_make(
        own_weights, folders, input_size=SIDE, on_step=steps.append
    )
    again = export_files.find_or_make(own_weights, folders, input_size=SIDE, on_step=steps.append)

    assert again == (made, described)
    assert (made.parent, described.width, described.answer) == (own_weights.parent, SIDE, "logits")
    assert steps == ["exporting the model for onnxruntime, once"]
    assert export_files.find(own_weights, folders, input_size=SIDE + 32) is None


def test_export_goes_elsewhere_where_the_weights_cannot_be_written(
    own_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The program's own folder is read-only for a service."""
    state = tmp_path / "state"
    state.mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) == state)

    assert export_files.first_writable((own_weights.parent, state)) == state
    with pytest.raises(ExportError, match="no folder"):
        export_files.first_writable((own_weights.parent,))


def test_damaged_export_is_made_again(own_weights: Path, caplog: pytest.LogCaptureFixture):
    """A disk may be full, a copy cut short."""
    path = export_files.place(own_weights, own_weights.parent, SIDE)
    export.export(own_weights, path, input_size=SIDE)
    path.write_bytes(path.read_bytes()[:1000])

    assert export_files.find(own_weights, (own_weights.parent,), input_size=SIDE) is None
    assert "it is made again" in caplog.text


def test_without_torch_the_message_says_how_to_get_an_export(
    own_weights: Path, monkeypatch: pytest.MonkeyPatch
):
    """It is made by torch alone."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ExportError, match="install torch once"):
        export_files.find_or_make(own_weights, (own_weights.parent,), input_size=SIDE)


def test_altered_weights_are_not_exported(own_weights: Path):
    """Nor is an old export used for them."""
    own_weights.write_bytes(own_weights.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="SHA-256"):
        export_files.find_or_make(own_weights, (own_weights.parent,), input_size=SIDE)


def test_export_that_fails_is_told_and_torch_goes_on(
    own_weights: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """With auto there is another runtime; one that is asked for by name must do it."""

    def fail(*_: object, **__: object) -> None:
        raise ExportError("the export failed")

    monkeypatch.setattr(export_files, "run_export", fail)
    options = ModelOptions(file=own_weights, device="cpu", precision="float32", input_size=SIDE)
    predictor = runtimes.open_predictor(options)

    assert isinstance(predictor, torch_predictor.TorchPredictor)
    assert "torch runs the model instead" in caplog.text
    with pytest.raises(ExportError):
        runtimes.open_predictor(
            ModelOptions(file=own_weights, device="cpu", runtime="onnxruntime", input_size=SIDE)
        )


def options(**changes: object) -> ModelOptions:
    """Of our weights."""
    return ModelOptions(**({"file": Path("own.pth")} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "has_gpu", "expected"),
    [
        ({}, False, "onnxruntime"),
        ({}, True, "torch"),
        ({"device": "cpu"}, True, "onnxruntime"),
        ({"device": "cuda:0"}, False, "torch"),
        ({"precision": "bfloat16"}, False, "torch"),
        ({"precision": "float32"}, False, "onnxruntime"),
        ({"runtime": "torch"}, False, "torch"),
        ({"runtime": "onnxruntime"}, True, "onnxruntime"),
    ],
)
def test_auto_takes_the_faster_runtime(
    changes: dict[str, object], has_gpu: bool, expected: str, monkeypatch: pytest.MonkeyPatch
):
    """On a CPU onnxruntime, unless half precision is asked for; on a GPU torch."""
    monkeypatch.setattr(runtimes, "has_gpu_driver", lambda: has_gpu)

    assert runtimes.choose_runtime(options(**changes)) == expected


def test_missing_runtimes_say_what_to_install(monkeypatch: pytest.MonkeyPatch):
    """One that is named and absent ends the start; without both nothing runs."""
    monkeypatch.setattr(onnx_session, "is_installed", lambda: False)
    assert runtimes.choose_runtime(options(device="cpu")) == "torch"
    with pytest.raises(RuntimeMissing, match=r"cvunet-daemon\[onnx\]"):
        runtimes.choose_runtime(options(runtime="onnxruntime"))

    monkeypatch.setattr(runtimes, "has_torch", lambda: False)
    with pytest.raises(RuntimeMissing, match="neither"):
        runtimes.choose_runtime(options(device="cpu"))
    with pytest.raises(RuntimeMissing, match="torch is not installed"):
        runtimes.open_predictor(options(runtime="torch"))


def test_half_precision_in_onnxruntime_is_refused():
    """It would be float32 in silence."""
    with pytest.raises(OptionError, match="needs runtime: torch"):
        runtimes.choose_runtime(options(runtime="onnxruntime", precision="bfloat16"))


def test_input_size_is_checked_before_the_export():
    """As torch's predictor does it."""
    with pytest.raises(OptionError, match="multiple of 32"):
        runtimes.open_export(options(input_size=500), lambda step: None)


def test_command_exports_and_says_so(own_weights: Path, tmp_path: Path):
    """`python -m cvunet.export` writes the file, or says why not."""
    command = [sys.executable, "-m", "cvunet.export", str(own_weights)]
    command += ["--out", str(tmp_path / "out.onnx"), "--input-size", str(SIDE)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)

    assert (done.returncode, "differ from torch's by" in done.stderr) == (0, True), done.stderr
    assert export.main([str(tmp_path / "absent.pth")]) == 1


@pytest.mark.parametrize("size", ["0", "-32", "500"])
def test_command_refuses_a_size_that_the_network_cannot_have(
    own_weights: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, size: str
):
    """In one line, before anything is loaded."""
    target = tmp_path / "out.onnx"

    assert export.main([str(own_weights), "--out", str(target), f"--input-size={size}"]) == 1
    assert f"input_size is {size}; it must be a multiple of 32" in caplog.text
    assert not target.exists()


def test_the_library_that_torch_writes_with_may_be_absent(
    own_weights: Path, monkeypatch: pytest.MonkeyPatch
):
    """With the command that mends it, and no traceback of torch's."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(ExportError, match=r"onnx: pip install 'cvunet-daemon\[onnx\]'"):
        export.export(own_weights, own_weights.with_suffix(".onnx"), input_size=SIDE)


def test_the_extra_has_all_that_an_export_needs():
    """A start without it would fall back to torch."""
    text = (Path(__file__).parents[2] / "setup.cfg").read_text(encoding="utf-8")
    extra = text.partition("\nonnx =\n")[2].partition("\nray =")[0].split()

    assert [name.partition(">")[0] for name in extra] == ["onnxruntime", "onnx"]
