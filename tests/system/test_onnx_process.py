"""The serving process with onnxruntime: no torch in it, several models, bad ones end with 78."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.inference import onnx_kit

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "models" / "cvunet.pth"
#: Opens the engine as `cvunetd run` does, cuts out a picture, and says what is loaded where.
PROGRAM = """
import json, os, sys
from pathlib import Path
from daemon.commands import run
from daemon.config import folders, schema
from daemon.jobs import Task
from daemon.service.local_engine import open_local

config, base = schema.load(Path(sys.argv[1]))
engine = open_local(config, base)
folder = folders.all_folders(config, base)[0]
done = engine.submit(
    Task("job", base / "photo.png", base / "part", folder.rendering, 10**7, model=folder.model)
).result(60)
task = Path(f"/proc/{os.getpid()}/task")
children = {int(pid) for one in task.iterdir() for pid in (one / "children").read_text().split()}
mapped = [Path(f"/proc/{pid}/maps").read_text() for pid in children]
print(json.dumps({
    "outcome": type(done).__name__,
    "torch": "torch" in sys.modules,
    "onnxruntime": "onnxruntime" in sys.modules,
    "children": len(children),
    "torch in children": any("libtorch" in text for text in mapped),
    "torch mapped": "libtorch" in Path("/proc/self/maps").read_text(),
}))
engine.close()
"""


def write(base: Path, **sections: object) -> Path:
    """A configuration with one hot folder, and a photo beside it."""
    (base / "hot").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(base / "photo.png")
    path = base / "config.yaml"
    path.write_text(yaml.safe_dump({"folders": [{"path": "hot"}]} | sections))
    return path


def python(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """A Python process in the source tree."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=170
    )


@pytest.mark.timeout(180)
def test_torch_is_loaded_nowhere(tmp_path: Path):
    """Neither in the daemon nor in its decode children; that is what saves the memory."""
    model = {"weights": str(WEIGHTS), "device": "cpu", "runtime": "onnxruntime"}
    done = python("-c", PROGRAM, write(tmp_path, model=model))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])

    assert told.pop("children") >= 1
    assert told == {
        "outcome": "Done",
        "torch": False,
        "onnxruntime": True,
        "torch in children": False,
        "torch mapped": False,
    }


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("cut short", "SHA-256"),
        ("no entry", "cvunetd models add"),
        ("wrong mean", "is written 0.485"),
        ("absent CUDA", "onnxruntime-gpu"),
        ("unknown model", "is none of models: tiny"),
    ],
)
def test_model_that_cannot_be_used_ends_the_start(tmp_path: Path, fault: str, expected: str):
    """With 78, so that systemd does not restart, and with what to do."""
    file = onnx_kit.write(tmp_path / "u2netp.onnx", outputs=7)
    added = python("-m", "daemon", "models", "add", file)
    assert added.returncode == 0, added.stderr
    entry = file.with_suffix(".yaml")
    sections: dict[str, object] = {"models": {"tiny": str(file)}, "model": {"device": "cpu"}}
    if fault == "cut short":
        file.write_bytes(file.read_bytes()[:200])
    elif fault == "no entry":
        entry.unlink()
    elif fault == "wrong mean":
        entry.write_text(yaml.safe_dump(yaml.safe_load(entry.read_text()) | {"mean": [123.7] * 3}))
    elif fault == "absent CUDA":
        sections["model"] = {"device": "cuda:0"}
    else:
        sections["folders"] = [{"path": "hot", "model": "bird"}]
    ended = python("-m", "daemon", "run", "--config", write(tmp_path, **sections))

    assert (ended.returncode, expected in ended.stderr) == (78, True), ended.stderr
