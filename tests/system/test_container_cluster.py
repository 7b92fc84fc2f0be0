"""packaging/ray/compose.yaml: a head and two workers in containers. `make test-container`."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import skimage

from tests.system import container_images
from tests.system.container_images import RAY_IMAGE, ROOT, checked, podman
from tests.system.container_kit import compose, wait_for
from tests.ways import servers

pytestmark = [
    *(pytest.mark.podman, pytest.mark.ray, pytest.mark.whole, pytest.mark.slow),
    pytest.mark.timeout(2400),
]

PHOTO = Path(skimage.__file__).parent / "data" / "coffee.png"
PHOTOS, USER = 20, 1000
#: Three times Ray, two models and twenty photos, on a machine that does other things.
PATIENCE_S = 600.0
SERIALS = count()


@pytest.fixture(scope="module")
def ray_image() -> str:
    """The image of the compose file: with Ray."""
    [extras] = {
        line.partition("EXTRAS: ")[2].strip('}" ')
        for line in compose_file().splitlines()
        if "EXTRAS: " in line
    }
    container_images.build(RAY_IMAGE, f"EXTRAS={extras}")
    return RAY_IMAGE


def compose_file() -> str:
    """As it is in the checkout."""
    return (ROOT / "packaging/ray/compose.yaml").read_text(encoding="utf-8")


@contextmanager
def cluster(base: Path, image: str) -> Iterator[tuple[str, Path]]:
    """Bring it up in a checkout of its own; the project's name, and the folder of pictures."""
    project, port = f"cvunetd-cluster-{os.getpid()}-{next(SERIALS)}", servers.free_port()
    folder, pictures = base / "packaging/ray", base / "pictures"
    folder.mkdir(parents=True)
    pictures.mkdir()
    text = compose_file().replace("127.0.0.1:8080:", f"127.0.0.1:{port}:")
    (folder / "compose.yaml").write_text(text, encoding="utf-8")
    shutil.copy(ROOT / "packaging/ray/config.yaml", folder)
    token = folder / "ray-token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    for path in (pictures, token):
        os.chown(path, USER, USER)
    names = [f"localhost/{project}_{service}" for service in ("head", "worker")]
    for name in names:
        checked("tag", image, name)
    try:
        compose(folder, project, "up", "--detach", "--no-build")
        yield project, pictures
    finally:
        compose(folder, project, "down")
        for name in names:
            podman("untag", image, name)


def containers(project: str) -> list[str]:
    """Names of those that run."""
    told = checked("ps", "--filter", f"name={project}", "--format", "{{.Names}}")
    return sorted(told.split())


def logs(project: str) -> str:
    """What all of them have said, for a person."""
    told = {name: podman("logs", "--tail", "30", name).stdout for name in containers(project)}
    return "\n".join(f"--- {name}\n{text}" for name, text in told.items())


def workers(project: str, key: str = "word") -> list[Any]:  # Any: JSON
    """One figure of each worker; usually how the daemon calls its state."""
    told = podman("exec", f"{project}_head_1", "cvunetd", "status", "--json").stdout
    with suppress(ValueError, KeyError, TypeError):
        nodes = json.loads(told)["report"]["cluster"]["nodes"]
        return [worker[key] for node in nodes for worker in node["workers"]]
    return []


def left_of(project: str) -> list[str]:
    """Containers, networks, secrets and volumes of a project."""
    kinds = (("ps", "--all"), ("network", "ls"), ("secret", "ls"), ("volume", "ls"), ("pod", "ps"))
    lines = [line for kind in kinds for line in podman(*kind).stdout.splitlines()]
    return [line for line in lines if project in line]


def test_pictures_come_out_of_two_workers(tmp_path: Path, ray_image: str):
    """Twenty, each once, whole, and both workers have cut some; then nothing is left of it all."""
    with cluster(tmp_path, ray_image) as (project, pictures):
        are_warm = wait_for(
            lambda: workers(project).count("warm") == 2, patience_s=PATIENCE_S, pause_s=2.0
        )
        assert are_warm, logs(project)
        for number in range(PHOTOS):
            part = pictures / f".{number}.part"
            shutil.copy(PHOTO, part)
            os.chown(part, USER, USER)
            part.rename(pictures / "hot" / f"{number}.png")

        def results() -> list[str]:
            return sorted(path.name for path in pictures.glob("outputs/outputs_*/*.png"))

        def originals() -> list[str]:
            return sorted(path.name for path in pictures.glob("outputs/outputs_*/originals/*.png"))

        # An original is moved after its result is published, so originals are what comes last.
        wait_for(lambda: len(originals()) >= PHOTOS, patience_s=PATIENCE_S, pause_s=1.0)
        # What each has done is told every few seconds.
        wait_for(lambda: min(workers(project, "done"), default=0) > 0, patience_s=60.0)
        done = workers(project, "done")
        failed = list((pictures / "failed").rglob("*.png"))
        said = logs(project)

    assert results() == sorted(f"{number}.png" for number in range(PHOTOS)), said
    assert failed == []
    assert min(done) > 0, done
    assert originals() == results()
    assert list(pictures.rglob("*.part")) == []
    assert left_of(project) == []


def test_another_token_is_no_member(tmp_path: Path, ray_image: str):
    """A container on the same network with a token of its own runs nothing on the cluster."""
    program = "import ray; ray.init('head:6379'); print('joined', len(ray.nodes()))"
    with cluster(tmp_path, ray_image) as (project, _):
        is_up = wait_for(lambda: bool(workers(project)), patience_s=PATIENCE_S, pause_s=2.0)
        assert is_up, logs(project)
        asked = podman(
            *("run", "--rm", "--network", f"{project}_cluster", "--user", "1000:1000"),
            *("--no-healthcheck", "--tmpfs", "/tmp", "--entrypoint", "/opt/cvunetd/bin/python"),
            *("--env", "RAY_AUTH_MODE=token", "--env", f"RAY_AUTH_TOKEN={'0' * 64}"),
            *(ray_image, "-c", program),
            patience_s=container_images.COMMAND_S * 3,
        )

    assert asked.returncode != 0
    assert "joined" not in asked.stdout
