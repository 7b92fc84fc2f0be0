"""`cvunetd --version`: what decides what comes out, told without loading it."""

import subprocess
import sys

from daemon import __version__
from tests.test_packaging import ROOT

PROGRAM = """
import sys
from daemon.cli import main
try:
    main(["--version"])
finally:
    assert not {"torch", "onnxruntime", "numpy"} & set(sys.modules)
"""


def test_version_tells_runtimes_and_weights():
    """Neither torch nor onnxruntime is loaded for it."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True
    )

    first, torch, onnxruntime, weights = done.stdout.splitlines()
    assert first == f"cvunetd, version {__version__}"
    assert torch.startswith("torch: ")
    assert onnxruntime.startswith("onnxruntime: ")
    assert "models/cvunet.pth (SHA-256 begins with " in weights
