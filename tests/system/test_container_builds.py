"""What a build meets: no space, another processor, the other kind of image.

Only `make test-container` runs these tests.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system import systemd_machine
from tests.system.container_images import DOCKERFILE, ROOT, checked, podman
from tests.system.container_kit import compose, pack_one_program

pytestmark = [pytest.mark.podman, pytest.mark.whole, pytest.mark.timeout(900)]

ENVIRONMENT = Path(sys.prefix)
ARM_WHEELS = ("2_17", "2_26", "2_27", "2_28")


BASE = f"localhost/cvunetd-kinds-{os.getpid()}"
RECIPE = f"""FROM {BASE}
ARG RUNTIME=onnxruntime
RUN ["/true"]
LABEL runtime=$RUNTIME
CMD ["/true"]
"""
KINDS = {"compose.yaml": "localhost/cvunetd:cpu", "compose.gpu.yaml": "localhost/cvunetd:gpu"}


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """The compose files with a recipe that only says what it was built as."""
    checked("import", str(pack_one_program(tmp_path)), BASE)
    folder = tmp_path / "checkout"
    (folder / DOCKERFILE).parent.mkdir(parents=True)
    (folder / DOCKERFILE).write_text(RECIPE, encoding="utf-8")
    for name in KINDS:
        shutil.copy(ROOT / name, folder)
    yield folder
    podman("rmi", "--force", *KINDS.values(), BASE)


def test_a_cpu_image_is_not_taken_for_a_gpu(checkout: Path):
    """In one checkout, one after the other: each compose file has what it describes."""
    for name in KINDS:
        compose(checkout, "kinds", "--file", name, "build")

    runtime = ("image", "inspect", "--format", "{{.Config.Labels.runtime}}")
    found = [checked(*runtime, image).strip() for image in KINDS.values()]
    assert found == ["onnxruntime", "torch"]


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
