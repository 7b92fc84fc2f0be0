"""The container's files agree with the program: linters, settings, what goes into the build."""

import hashlib
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from cvunet.inference import export_files
from daemon.config import folders, schema
from tests.system.daemon_process import wait_for
from tests.test_packaging import ROOT, ROTATION

CONTAINER = ROOT / "packaging/container"
HARDENING = {
    # The daemon does not reap what commands of hooks leave behind.
    "init": True,
    "read_only": True,
    "tmpfs": ["/tmp"],
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
}


def program(name: str) -> str:
    """A program of this environment, or of the machine."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name) or pytest.skip(f"no {name}")


def compose(name: str, service: str = "cvunetd") -> dict[str, Any]:  # Any: YAML
    """A service of a compose file."""
    content = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    found: dict[str, Any] = content["services"][service]
    return found


def test_dockerfile_is_clean():
    """hadolint finds nothing; steps apart are on purpose, so that a change repeats only one."""
    command = [program("hadolint"), "--ignore", "DL3059", str(CONTAINER / "Dockerfile")]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml", "packaging/ray/compose.yaml"])
def test_compose_file_is_read(name: str):
    """podman-compose reads it, and finds the service."""
    command = [program("podman-compose"), "--file", str(ROOT / name), "config"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "dockerfile: packaging/container/Dockerfile" in done.stdout


@pytest.mark.parametrize(("name", "kind"), [("compose.yaml", "cpu"), ("compose.gpu.yaml", "gpu")])
def test_each_compose_file_has_an_image_of_its_own(name: str, kind: str):
    """Under one name the file that is used second would start what the first one has built."""
    command = [program("podman-compose"), "--file", str(ROOT / name), "config"]

    read = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    service = yaml.safe_load(read.stdout)["services"]["cvunetd"]
    assert service["image"] == f"localhost/cvunetd:{kind}"
    assert service["build"]["dockerfile"] == "packaging/container/Dockerfile"


def test_compose_file_is_hardened():
    """As the tests run it, and the page only for this machine."""
    service = compose("compose.yaml")

    assert {key: service[key] for key in HARDENING} == HARDENING
    assert [port.split(":")[0] for port in service["ports"]] == ["127.0.0.1"]
    assert not service["user"].startswith("0")
    assert compose("compose.gpu.yaml")["extends"]["file"] == "compose.yaml"


def test_container_without_compose_is_hardened():
    """The command of the document says the same."""
    text = (ROOT / "docs/install.md").read_text(encoding="utf-8")
    [command] = re.findall(r"^    docker run .*\\\n.*$", text, re.MULTILINE)

    for option in (
        *("--init", "--read-only", "--tmpfs /tmp"),
        *("--cap-drop ALL", "--security-opt no-new-privileges"),
    ):
        assert f"{option} " in command


@pytest.mark.parametrize("service", ["head", "worker"])
def test_cluster_of_containers_is_hardened(service: str):
    """Alike, with a token, and none of Ray's ports on the host."""
    found = compose("packaging/ray/compose.yaml", service)

    assert {key: found[key] for key in HARDENING} == HARDENING
    assert found["environment"]["RAY_AUTH_MODE"] == "token"
    assert found["networks"] == ["cluster"]
    assert {key: found["environment"][key] for key in ROTATION} == ROTATION
    assert found.get("ports", []) in ([], ["127.0.0.1:8080:8080"])
    assert "../../pictures:/srv/cvunetd" in found["volumes"]


def test_cluster_of_containers_has_two_workers():
    """They look for the head under its name, and each offers to run one worker."""
    worker = compose("packaging/ray/compose.yaml", "worker")

    assert worker["deploy"]["replicas"] == 2
    assert "--address=head:6379" in worker["command"][0]
    assert """'--resources={"cvunetd": 1}'""" in worker["command"][0]
    [head] = compose("packaging/ray/compose.yaml", "head")["command"]
    assert "--head --block --port=6379" in head


STUBS = {
    "ray": 'echo "$@" >>"$0.log"; exit 1',
    "sleep": "exec /bin/sleep 0.05",
    "cvunetd": 'trap "exit 7" TERM; echo "$$ $@" >"$0.log"; while :; do sleep; done',
}


def test_head_in_a_container_is_started_again(tmp_path: Path):
    """For as long as the daemon lives. SIGTERM, which one process gets, is meant for the daemon."""
    for name, script in STUBS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    head = compose("packaging/ray/compose.yaml", "head")
    process = subprocess.Popen(
        [*head["entrypoint"], *head["command"]],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        start_new_session=True,
    )
    try:
        starts, daemon = tmp_path / "ray.log", tmp_path / "cvunetd.log"
        assert wait_for(lambda: starts.exists() and starts.read_text().count("--head") > 2)
        assert wait_for(daemon.exists)
        process.terminate()
        status = process.wait(30)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # as a container does with what is left in it
        process.wait(30)

    assert status == 7
    assert daemon.read_text() == f"{process.pid} run --make-missing\n"
    assert all(" --block " in line for line in starts.read_text().splitlines())


def test_cluster_of_containers_is_configured_as_one_container():
    """But for the engine."""
    one, many = (
        yaml.safe_load(path.read_text(encoding="utf-8"))
        for path in (CONTAINER / "config.yaml", ROOT / "packaging/ray/config.yaml")
    )
    worker = many.pop("worker")

    assert many == one
    assert worker["engine"] == "ray"
    assert worker["ray"]["address"] == "head:6379"


def test_mounted_folder_is_in_the_checkout():
    """Docker would make a missing one as root, which the daemon could not write."""
    [mount] = compose("compose.yaml")["volumes"]

    assert (ROOT / mount.partition(":")[0] / ".gitignore").is_file()


def test_configuration_lies_below_one_mount():
    """The program accepts it, and everything that it writes is in the mounted folder."""
    config, base = schema.load(CONTAINER / "config.yaml")
    found = folders.all_folders(config, base)
    places = [config.state_dir, config.quarantine_dir, config.web.keys_file]
    places += [path for one in found for path in (one.path, one.output_root)]

    assert all(path and path.is_relative_to("/srv/cvunetd") for path in places)
    assert config.metrics.address is not None


def test_build_gets_what_it_copies():
    """.dockerignore leaves in what the Dockerfile and the wheel need, and no pictures."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = [
        word
        for line in (CONTAINER / "Dockerfile").read_text(encoding="utf-8").splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
        if word != "." and not word.startswith("--")
    ]

    assert lines[1] == "*"

    def is_let_in(one: str) -> bool:
        """All of it, or parts of it."""
        return any(Path(one).is_relative_to(top) or top.startswith(f"{one}/") for top in let_in)

    assert all(map(is_let_in, copied))
    assert {"cvunet", "daemon", "LICENSE", "README.md", "pyproject.toml"} <= let_in
    assert not {"pictures", "tests", "docs", "."} & let_in


def test_build_gets_no_secret():
    """What lies below packaging/ and git leaves out, as the token of a cluster, stays out."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    secrets = [
        (path.parent / name).relative_to(ROOT).as_posix()
        for path in (ROOT / "packaging").rglob(".gitignore")
        for name in path.read_text(encoding="utf-8").splitlines()
    ]

    assert secrets == ["packaging/ray/ray-token"]
    assert set(secrets) <= set(lines[lines.index("!packaging") :])


def text_documents() -> set[str]:
    """The documents without their pictures, by their names below docs/."""
    found = (path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*"))
    return {path.as_posix() for path in found if path.suffix in (".md", ".json")}


def test_image_has_the_documents():
    """Those that they link to are there, too, in the same folders."""
    text = (CONTAINER / "Dockerfile").read_text(encoding="utf-8")
    copies = re.findall(r"^COPY --chmod=0644 (.*) /opt/cvunetd/share/doc/cvunetd/(.*)$", text, re.M)
    copied = {
        below + path.name
        for patterns, below in copies
        for pattern in patterns.split()
        for path in ROOT.glob(pattern)
    }

    assert copied == text_documents()


def test_requirements_without_torch():
    """All of setup.cfg but torch, and no twice; an unknown extra is named."""
    wanted = runpy.run_path(str(ROOT / "packaging/requirements.py"))["wanted"]
    text = (ROOT / "setup.cfg").read_text(encoding="utf-8")

    found = wanted(text, extras=["web", "bench"], without=["torch"])

    names = {line.split(">")[0].split("=")[0] for line in found}
    assert {"watchdog", "numpy", "starlette", "onnxruntime"} <= names
    assert "torch" not in names
    assert len(found) == len(set(found))
    with pytest.raises(SystemExit, match="no such extra: webb"):
        wanted(text, extras=["webb"], without=[])


def test_exported_weights_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """They are copied with their description if they are whole; otherwise the build makes them."""
    models, out = tmp_path / "models", tmp_path / "out"
    models.mkdir()
    out.mkdir()
    weights, data = models / "cvunet.pth", b"a network"
    weights.write_bytes(b"weights")
    target = export_files.place(weights, models, 512)
    digest = hashlib.sha256(data).hexdigest()
    with export_files.unfinished(target, data) as part:
        export_files.publish(
            part, target, export_files.description_of(digest, len(data), input_size=512)
        )
    monkeypatch.setattr(sys, "argv", ["exported.py", str(tmp_path), str(out)])
    monkeypatch.setattr(sys, "path", list(sys.path))
    copy = runpy.run_path(str(ROOT / "packaging/exported.py"))["main"]

    for path in (target, target.with_suffix(".yaml")):
        path.chmod(0o600)  # as git makes it for who works under umask 077
    before = os.umask(0o022)
    try:
        copy()
    finally:
        os.umask(before)
    copied = {path.name for path in out.iterdir()}
    modes = {path.stat().st_mode & 0o777 for path in out.iterdir()}
    target.write_bytes(data[:-1])
    with pytest.raises(SystemExit) as ended:
        copy()

    assert copied == {target.name, target.with_suffix(".yaml").name}
    assert ended.value.code == 1
    assert modes == {0o644}


def test_what_is_installed_is_open_to_its_user():
    """Scripts make files under a umask of their own; an image takes no mode of the checkout."""
    for name in ("packaging/install.sh", "packaging/deb/build.sh"):
        _, _, rest = (ROOT / name).read_text(encoding="utf-8").partition("set -euo pipefail\n")
        commands = [line for line in rest.splitlines() if line and not line.startswith("#")]
        assert commands[0] == "umask 022", name
    *_, last = (CONTAINER / "Dockerfile").read_text(encoding="utf-8").split("FROM ")
    copies = [line for line in last.splitlines() if line.startswith("COPY ")]
    modes = {line.split()[1] for line in copies if "--from" not in line}
    assert modes == {"--chmod=0644"}


def test_deb_installs_files_that_are_there():
    """Its scripts are read by the shell, and each file that it names exists."""
    script = (ROOT / "packaging/deb/build.sh").read_text(encoding="utf-8")
    listed = script.partition("<<TEXT\n")[2].partition("\nTEXT")[0].splitlines()

    sources = [line.split()[0] for line in listed]
    assert len(sources) == 11
    assert [name for name in sources if not (ROOT / name).is_file()] == []
    for name in ("preinst", "postinst", "prerm", "postrm"):
        path = ROOT / "packaging/deb" / name
        assert os.access(path, os.X_OK)
        subprocess.run(["sh", "-n", str(path)], check=True)


def test_deb_has_the_documents(tmp_path: Path):
    """Those that they link to are there, too; all that it packs exists."""
    for name in ("packaging", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "daemon").mkdir()
    for name in ("config.yaml", "LICENSE", "CHANGELOG.md", "daemon/__init__.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    programs = tmp_path / "build/deb/tools/bin"
    programs.mkdir(parents=True)
    for name in ("python", "nfpm", "dpkg"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    own = {"PACK_ONLY": "1", "PYTHON": sys.executable, "PATH": path}

    subprocess.run([tmp_path / "packaging/deb/build.sh"], env=os.environ | own, check=True)

    packed = yaml.safe_load((tmp_path / "build/deb/nfpm.yaml").read_text(encoding="utf-8"))
    files = {one["dst"]: Path(one["src"]) for one in packed["contents"] if "file_info" in one}
    folder = "/opt/cvunetd/share/doc/cvunetd/"
    found = {name.removeprefix(folder) for name in files if name.startswith(folder)}
    assert found == text_documents()
    assert [source for source in files.values() if not source.is_file()] == []


@pytest.mark.parametrize(
    ("variables", "index"),
    [
        ({}, "https://download.pytorch.org/whl/cpu"),
        ({"TORCH_INDEX": ""}, ""),
        ({"RUNTIME": "torch"}, ""),
        ({"RUNTIME": "torch", "TORCH_INDEX": "https://here"}, "https://here"),
    ],
    ids=str,
)
def test_deb_without_torch_needs_no_cuda(tmp_path: Path, variables: dict[str, str], index: str):
    """Torch only exports the weights then; an index that is named counts, also an empty one."""
    deb = tmp_path / "packaging/deb"
    deb.mkdir(parents=True)
    shutil.copy(ROOT / "packaging/deb/build.sh", deb)
    steps = deb.with_name("environment.sh")
    steps.write_text('#!/bin/sh\n[ "$1" != weights ] || { echo "[${TORCH_INDEX:-}]"; exit 1; }\n')
    steps.chmod(0o755)
    unset = {
        key: value for key, value in os.environ.items() if key not in ("RUNTIME", "TORCH_INDEX")
    }

    done = subprocess.run(
        [deb / "build.sh"], env=unset | variables, capture_output=True, text=True, check=False
    )

    assert done.stdout == f"[{index}]\n", done.stderr


def test_deb_and_script_configure_alike():
    """Both change the same lines of the sample; only the weights are found without a path."""

    def changes(name: str) -> set[str]:
        [program] = re.findall(
            r"sed -f \S*?([\w-]+\.sed)", (ROOT / name).read_text(encoding="utf-8")
        )
        lines = (ROOT / "packaging" / program).read_text(encoding="utf-8").splitlines()
        return {line for line in lines if line.startswith("s|")}

    assert changes("packaging/deb/build.sh") == changes("packaging/install.sh")
    assert len(changes("packaging/deb/build.sh")) == 6


@pytest.mark.slow
def test_wheel_and_sdist_hold_weights_and_units(tmp_path: Path):
    """What pipx and uv install is complete, without a checkout."""
    from tests.system import systemd_machine

    source = tmp_path / "source"
    source.mkdir()
    systemd_machine.copy_source(source)
    wheel = systemd_machine.build_wheel(source, tmp_path)
    listed = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", str(wheel)],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    program = "import setuptools.build_meta as b, json; print(json.dumps(b.build_sdist('.')))"
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=source, capture_output=True, check=True, text=True
    ).stdout
    archive = source / json.loads(told.splitlines()[-1])
    packed = subprocess.run(
        ["tar", "-tzf", str(archive)], capture_output=True, check=True, text=True
    ).stdout

    for name in (
        "cvunet.pth",
        "manifest.yaml",
        "cvunetd.service",
        "cvunetd-web.service",
        "config.yaml",
    ):
        assert f"/{name}" in listed
        assert f"/{name}" in packed
