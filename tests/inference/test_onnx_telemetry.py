"""onnxruntime counts nothing, keeps nothing in the home, and has nothing to send."""

import os
import subprocess
import sys
from pathlib import Path

from tests.inference import onnx_kit

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from pathlib import Path
from cvunet.inference import onnx_session
onnx_session.open_session(Path(sys.argv[1]), device="cpu", threads=1)
"""


def test_nothing_is_left_in_the_home(tmp_path: Path):
    """Where telemetry is on, a number of the machine and a file of events appear there."""
    model, home = onnx_kit.write(tmp_path / "model.onnx"), tmp_path / "home"
    home.mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    subprocess.run(
        [sys.executable, "-c", PROGRAM, str(model)],
        check=True,
        cwd=ROOT,
        env=kept | {"HOME": str(home)},
    )

    assert list(home.rglob("*")) == []
