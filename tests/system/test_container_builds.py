"""What a build meets: no space, another processor. Only `make test-container` runs these tests."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system import systemd_machine
from tests.system.container_images import ROOT

pytestmark = [pytest.mark.podman, pytest.mark.whole, pytest.mark.timeout(900)]

ENVIRONMENT = Path(sys.prefix)
ARM_WHEELS = ("2_17", "2_26", "2_27", "2_28")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A folder with space for 60 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    systemd_machine.mount("-t", "tmpfs", "-o", "size=60M", "tmpfs", folder)
    yield folder
    systemd_machine.unmount(folder)


def test_no_space_for_torch(tmp_path: Path, small: Path):
    """The step says so and fails; what lies there is not taken for a whole torch afterwards."""
    source = tmp_path / "source"
    source.mkdir()
    systemd_machine.copy_source(source)
    for exported in (source / "models").glob("*.onnx"):
        exported.unlink()
    words = map(str, ("weights", ENVIRONMENT, ENVIRONMENT, tmp_path / "weights", small))

    done = subprocess.run(
        [str(source / "packaging/environment.sh"), *words],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"RUNTIME": "onnxruntime", "TORCH_INDEX": ""},
    )

    assert done.returncode != 0
    assert "No space left on device" in done.stderr
    assert not list(small.glob("python3*"))
    assert not list((tmp_path / "weights").glob("*.onnx"))


def test_libraries_have_wheels_for_arm64(tmp_path: Path):
    """Nothing has to be compiled there. The image itself cannot be run on this processor."""
    wanted = tmp_path / "requirements.txt"
    extras = ("heif", "hooks", "metrics", "onnx", "web")
    words = [word for extra in extras for word in ("--extra", extra)]
    words += ["--without", "torch", "--without", "onnx"]
    with wanted.open("w") as file:
        program = [sys.executable, str(ROOT / "packaging/requirements.py"), str(ROOT / "setup.cfg")]
        subprocess.run([*program, *words], stdout=file, check=True)
    platforms = [f"--platform=manylinux_{one}_aarch64" for one in ARM_WHEELS]
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed"]
    pip += ["--only-binary=:all:", "--python-version=3.13", f"--target={tmp_path / 'none'}"]
    pip += [f"--constraint={ROOT / 'constraints.txt'}", f"--requirement={wanted}"]

    done = subprocess.run([*pip, *platforms], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
