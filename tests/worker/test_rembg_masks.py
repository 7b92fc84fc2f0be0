"""U2-Net through the daemon's whole pipeline: files in, masks out that are rembg's own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from daemon.commands.cut import cut
from tests.inference import test_rembg_masks as library
from tests.inference.test_rembg_masks import PHOTOS, rembg_answer, rembg_mask, u2net

#: What docs/models.md says.
SETTINGS = """
output: {content: alpha}
postprocess: {kernel: cubic, filter: none, keep_haze: true}
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(library.is_absent, reason="u2net.onnx is not there: make test-rembg fetches it")
def test_daemon_gives_rembgs_masks(tmp_path: Path):
    """To 1/255 in the mean of each photo, with decoding, the model's thread and encoding."""
    data = pytest.importorskip("skimage.data")
    runtime = pytest.importorskip("onnxruntime")
    model = u2net(tmp_path)
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(yaml.safe_load(SETTINGS) | {"models": {"u2net": str(model)}}))
    photos = {name: Image.fromarray(getattr(data, name)()) for name in PHOTOS}
    for name, photo in photos.items():
        photo.save(tmp_path / f"{name}.png")
    sources = [tmp_path / f"{name}.png" for name in PHOTOS]
    results = cut(sources, tmp_path / "out", config, start_logging=lambda level, format: None)
    theirs: Any = runtime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    found = {}
    for name, result in zip(PHOTOS, results, strict=True):
        assert result.target is not None
        with Image.open(result.target) as image:
            ours = np.asarray(image, np.float64)
        mask = rembg_mask(rembg_answer(theirs, photos[name]), photos[name].size)
        found[name] = float(np.abs(ours - mask).mean())

    assert max(found.values()) < 1, found


def test_documents_name_these_settings():
    """People copy them from there."""
    text = (Path(__file__).parents[2] / "docs" / "models.md").read_text()

    assert "keep_haze: true" in text
    assert SETTINGS.strip().replace("\n", "\n    ") in text
