"""What onnxruntime is told so that an idle daemon holds little memory."""

from pathlib import Path

import numpy as np
import pytest

from cvunet.inference import onnx_session
from cvunet.inference.onnx_predictor import OnnxPredictor
from tests.inference import onnx_kit
from tests.inference.test_model_files import custom, opened


def test_no_memory_pattern_is_planned(tmp_path: Path) -> None:
    """It would be one more block beside the arena; spinning stays off, one thread for a pass."""
    path = onnx_kit.write(tmp_path / "m.onnx", shape=(1, 3, 32, 64), channel=0)

    options = onnx_session.open_session(path, device="cpu", threads=1).inner.get_session_options()

    assert options.enable_mem_pattern is False
    assert options.enable_cpu_mem_arena is True
    assert options.intra_op_num_threads == 1


def test_each_size_is_warmed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second pass would only make the start longer."""
    path = onnx_kit.write(tmp_path / "m.onnx", shape=(1, 3, 32, 64), channel=0)
    predictor = opened(custom(path))
    asked: list[int] = []

    def predict(self: OnnxPredictor, batch: list[np.ndarray]) -> list[np.ndarray]:
        asked.append(len(batch))
        return []

    monkeypatch.setattr(OnnxPredictor, "predict", predict)
    predictor.warm([4, 1])

    assert asked == [4, 1]
