"""What ships beside the code agrees with it: unit file, sample configuration, dependencies."""

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cvunet.matte import arranging
from daemon import event_ids

ROOT = Path(__file__).parents[1]
UNIT = ROOT / "packaging/systemd/cvunetd.service"
NAME = re.compile(r"[A-Za-z0-9._-]+")
#: What limits Ray's logs.
ROTATION = {"RAY_ROTATION_MAX_BYTES": "10000000", "RAY_ROTATION_BACKUP_COUNT": "1"}


@pytest.fixture(scope="module")
def setup_cfg() -> configparser.ConfigParser:
    """The project's metadata."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


@pytest.fixture(scope="module")
def unit() -> configparser.RawConfigParser:
    """The unit; of a key that is given twice, the last value."""
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys have capitals
    parser.read(UNIT, encoding="utf-8")
    return parser


def lines(text: str) -> list[str]:
    """The lines of a multi-line value that say something."""
    stripped = (line.strip() for line in text.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


def canonical(requirement: str) -> str:
    """A requirement's distribution, spelled as package indexes compare it."""
    found = NAME.match(requirement)
    assert found is not None, requirement
    return re.sub(r"[-_.]+", "-", found.group()).lower()


def dependencies(setup_cfg: configparser.ConfigParser) -> set[str]:
    """The distributions that setup.cfg asks for, with every extra."""
    extras = setup_cfg["options.extras_require"]
    wanted = [setup_cfg["options"]["install_requires"], *extras.values()]
    return {canonical(line) for text in wanted for line in lines(text)}


def project_files() -> list[Path]:
    """What is or would be committed; without git, everything but hidden and generated folders."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0:
        names = listed.stdout.decode("utf-8", "surrogateescape").split("\0")
        paths = [ROOT / name for name in names if name]
    else:
        folders = (
            "cvunet",
            "daemon",
            "manual",
            "tests",
            "docs",
            "packaging",
            "models",
            "benchmarks",
            ".ci",
        )
        paths = [path for folder in folders for path in (ROOT / folder).rglob("*")]
        paths += ROOT.iterdir()
    return [path for path in paths if path.is_file() and path.suffix != ".pyc"]


def test_unit_starts_the_entry_point(
    unit: configparser.RawConfigParser, setup_cfg: configparser.ConfigParser
) -> None:
    """The unit runs the command that setup.cfg installs."""
    scripts = lines(setup_cfg["options.entry_points"]["console_scripts"])

    commands = [script.partition("=")[0].strip() for script in scripts]

    assert Path(unit["Service"]["ExecStart"].split()[0]).name in commands


def test_unit_does_not_restart_a_wrong_configuration(unit: configparser.RawConfigParser) -> None:
    """Exit status 78 means that starting again does not help."""
    assert unit["Service"]["RestartPreventExitStatus"] == "78"


@pytest.mark.parametrize(
    "name",
    [
        "systemd/cvunetd.service",
        "systemd/cvunetd-web.service",
        "ray/cvunetd-ray-head.service",
        "ray/cvunetd-ray-node.service",
    ],
)
def test_unit_outlives_a_child_without_memory(name: str) -> None:
    """By its own choice systemd would end the unit; and of the main process a new one is made."""
    found = lines((ROOT / "packaging" / name).read_text(encoding="utf-8"))

    assert "OOMPolicy=continue" in found
    assert {"Restart=on-failure", "Restart=always"} & set(found)


def test_child_of_the_page_fits_into_its_unit() -> None:
    """It fails by its own limit, before the kernel takes something; the server has room beside."""
    text = UNIT.with_name("cvunetd-web.service").read_text(encoding="utf-8")
    [limit] = re.findall(r"^MemoryMax=(\d+)G$", text, re.MULTILINE)

    assert int(limit) << 30 >= arranging.MEMORY_BYTES + 1_000_000_000


@pytest.mark.systemd_analyze
def test_unit_is_valid(tmp_path: Path) -> None:
    """systemd finds no fault in the unit; the command is one that exists here."""
    text = UNIT.read_text(encoding="utf-8")
    copy = tmp_path / UNIT.name
    copy.write_text(text.replace("/opt/cvunetd/bin/cvunetd", sys.executable), encoding="utf-8")
    program = shutil.which("systemd-analyze") or "systemd-analyze"

    # The pages that it names are installed with it, and not here.
    verified = subprocess.run(
        [program, "verify", "--man=no", copy], capture_output=True, text=True, check=False
    )

    # Of other units on the machine it may complain.
    complaints = [line for line in verified.stderr.splitlines() if UNIT.stem in line]
    assert complaints == []
    assert verified.returncode == 0


@pytest.mark.systemd_analyze
def test_unit_of_the_page_exposes_little() -> None:
    """It faces a network: it may reach no more than it needs."""
    web = UNIT.with_name("cvunetd-web.service")
    program = shutil.which("systemd-analyze") or "systemd-analyze"
    command = [program, "security", "--offline=true", "--no-pager", str(web)]

    told = subprocess.run(command, capture_output=True, text=True, check=False)

    found = re.search(r"exposure level for cvunetd-web.service: ([\d.]+)", told.stdout)
    assert found is not None, told.stdout + told.stderr
    assert float(found[1]) <= 1.5


@pytest.mark.systemd_analyze
@pytest.mark.parametrize("name", ["head", "node"])
def test_units_of_a_cluster_expose_little(tmp_path: Path, name: str) -> None:
    """systemd finds no fault in them, and little that they could do without."""
    unit = tmp_path / f"cvunetd-ray-{name}.service"
    text = (ROOT / "packaging/ray" / unit.name).read_text(encoding="utf-8")
    unit.write_text(text.replace("/opt/cvunetd/bin/ray", sys.executable), encoding="utf-8")
    program = shutil.which("systemd-analyze") or "systemd-analyze"
    security = [program, "security", "--offline=true", "--no-pager", str(unit)]

    verified = subprocess.run(
        [program, "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    told = subprocess.run(security, capture_output=True, text=True, check=False)

    assert [line for line in verified.stderr.splitlines() if unit.stem in line] == []
    found = re.search(rf"exposure level for {unit.name}: ([\d.]+)", told.stdout)
    assert found is not None, told.stdout + told.stderr
    assert float(found[1]) <= 1.7


def test_units_of_a_cluster_agree() -> None:
    """A node has the head's sandbox, token and ports; each port has one meaning."""
    head, node = (
        (ROOT / f"packaging/ray/cvunetd-ray-{name}.service").read_text(encoding="utf-8")
        for name in ("head", "node")
    )
    sandbox = head.partition("# --- What it may write")[2].replace("ray-head", "ray-node")
    ports = [re.findall(r"--((?:[a-z-]+-)?port)=(\d+)", text) for text in (head, node)]
    page = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")

    assert (
        sandbox.replace(", where the daemon uses them", "")
        == node.partition("# --- What it may write")[2]
    )
    assert [pair for pair in ports[0] if pair[0] != "port"] == ports[1]
    assert len({number for _, number in ports[0]}) == len(ports[0]) == 9
    assert [number for _, number in ports[0] if number not in page] == []
    assert all("RAY_AUTH_MODE=token" in text for text in (head, node))


@pytest.mark.parametrize("name", ["head", "node"])
def test_logs_of_a_cluster_do_not_fill_the_memory(name: str) -> None:
    """They lie in /run; without a limit they grow by 30 to 90 MB a day."""
    text = (ROOT / f"packaging/ray/cvunetd-ray-{name}.service").read_text(encoding="utf-8")
    found = lines(text)

    assert "RuntimeDirectory=cvunetd-ray" in found
    assert "--temp-dir=/run/cvunetd-ray" in text
    assert {f"Environment={key}={value}" for key, value in ROTATION.items()} <= set(found)


@pytest.mark.systemd_analyze
@pytest.mark.parametrize(
    ("drop_ins", "limit"),
    [
        ((), 2.0),
        (("cpu.conf",), 1.2),
        (("hooks.conf",), 2.0),
        (("cpu.conf", "writers.conf"), 1.2),
        (("../ray/ray.conf",), 2.0),
    ],
    ids=["GPU", "CPU", "hooks", "writers", "cluster"],
)
def test_unit_exposes_little(tmp_path: Path, drop_ins: tuple[str, ...], limit: float) -> None:
    """What systemd's own table makes of the sandbox: 0 is closed, 10 is open."""
    units = tmp_path / "etc/systemd/system"
    (units / "cvunetd.service.d").mkdir(parents=True)
    shutil.copy(UNIT, units)
    for name in drop_ins:
        shutil.copy(UNIT.parent / name, units / "cvunetd.service.d")
    program = shutil.which("systemd-analyze") or "systemd-analyze"
    command = [program, "security", "--offline=true", f"--root={tmp_path}", "--no-pager"]

    told = subprocess.run([*command, UNIT.name], capture_output=True, text=True, check=False)

    found = re.search(r"exposure level for cvunetd.service: ([\d.]+)", told.stdout)
    assert found is not None, told.stdout + told.stderr
    assert float(found[1]) <= limit


def test_install_script_is_sound() -> None:
    """Bash reads it, and it installs files that are there."""
    script = ROOT / "packaging/install.sh"
    text = script.read_text(encoding="utf-8")
    named = re.findall(r"^    \[([\w./-]+)\]=", text, re.MULTILINE)

    parsed = subprocess.run(["bash", "-n", str(script)], capture_output=True, check=False)

    assert parsed.returncode == 0, parsed.stderr
    assert len(named) == 9
    assert [name for name in named if not (ROOT / "packaging" / name).is_file()] == []


def test_installed_configuration_fits_the_unit(tmp_path: Path) -> None:
    """The script's sed finds all the paths in the sample that it has to replace."""
    text = (ROOT / "packaging/install.sh").read_text(encoding="utf-8")
    program = re.findall(r"""-e ['"](s\|.*?\|)['"]""", text)
    program = [line.replace("$HOME_OF_PROGRAM", "/opt/cvunetd") for line in program]
    arguments = ["-f", str(ROOT / "packaging/unit-paths.sed")]
    arguments += [word for line in program for word in ("-e", line)]

    made = subprocess.run(
        ["sed", *arguments, str(ROOT / "config.yaml")], capture_output=True, text=True, check=True
    )

    settings = yaml.safe_load(made.stdout)
    assert settings["folders"][0]["path"] == "/srv/cvunetd/hot"
    assert settings["output"]["root"] == "/srv/cvunetd/outputs"
    assert settings["web"]["listen"] is None
    assert settings["web"]["folder"] == "/srv/cvunetd/uploads"
    assert settings["state_dir"] == "/var/lib/cvunetd"
    assert settings["quarantine_dir"] == "/srv/cvunetd/failed"
    assert settings["model"]["weights"] == "/opt/cvunetd/share/cvunetd/models/cvunet.pth"


def test_message_ids_are_documented() -> None:
    """Each with its meaning."""
    text = (ROOT / "docs/systemd.md").read_text(encoding="utf-8")
    ids = [value for name, value in vars(event_ids).items() if name.isupper()]

    assert len(set(ids)) == len(ids) == 11
    assert [value for value in ids if f"| `{value}` |" not in text] == []


def test_sample_configuration_is_yaml() -> None:
    """config.yaml is a mapping that names a hot folder."""
    settings = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))

    assert settings["folders"][0]["path"] == "hot"


def test_dependencies_are_pinned(setup_cfg: configparser.ConfigParser) -> None:
    """Every dependency has its tested version in constraints.txt."""
    pins = lines((ROOT / "constraints.txt").read_text(encoding="utf-8"))

    pinned = {canonical(pin) for pin in pins if "==" in pin}

    assert dependencies(setup_cfg) - pinned == set()


def test_dependencies_have_a_reason(setup_cfg: configparser.ConfigParser) -> None:
    """Every dependency is named in a table of CONTRIBUTING.md."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ")]

    named = {canonical(word) for row in rows for word in NAME.findall(row.split("|")[1])}

    assert dependencies(setup_cfg) - named == set()


def test_files_name_no_path_of_a_private_machine() -> None:
    """Nothing in the project depends on where it was written."""
    private = re.compile(rb"(?<![\w.-])/" + rb"work\b")

    naming = [path for path in project_files() if private.search(path.read_bytes())]

    assert naming == []


def test_weights_are_installed_only_if_present(setup_cfg: configparser.ConfigParser) -> None:
    """Every data file is a pattern, so that a checkout without weights installs too."""
    patterns = [line for text in setup_cfg["options.data_files"].values() for line in lines(text)]

    assert [pattern for pattern in patterns if "*" not in pattern] == []


@pytest.mark.parametrize("status", [0, 3])
def test_installation_shows_progress_and_a_failure_in_full(tmp_path: Path, status: int) -> None:
    """What is downloaded and installed; all that pip said, only if it has failed."""
    pip = tmp_path / "pip"
    pip.write_text(
        "#!/bin/sh\necho Collecting torch\necho '  Downloading torch.whl (812.3 MB)'\n"
        "echo '  Downloading small.whl (30 kB)'\necho 'Installing collected packages: a, b'\n"
        f"echo 'ERROR: no room' >&2\nexit {status}\n"
    )
    pip.chmod(0o755)
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.search(r"^define WITH_PROGRESS\n.*?^endef\n", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"{found[0]}all:\n\t@$(call WITH_PROGRESS,{pip})\n\t@echo done\n")

    command = ["make", "-f", str(makefile), f"VENV={tmp_path}"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=outside_make())

    shown = ["  Downloading torch.whl (812.3 MB)", "  Installing all of it"]
    if status == 0:
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout.splitlines() == [*shown, "done"]
    else:
        assert ended.returncode != 0
        assert ended.stdout.splitlines() == shown
        assert "Collecting torch" in ended.stderr
        assert "ERROR: no room" in ended.stderr


def outside_make() -> dict[str, str]:
    """The environment without what `make test` adds: a make in a make says where it is."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}


def test_start_after_the_python_was_replaced(tmp_path: Path) -> None:
    """The interpreter is another one, which finds no libraries: it is said what to do."""
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin/python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    (tmp_path / ".runtime").touch()

    command = ["make", "run", f"VENV={tmp_path}"]
    told = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=outside_make()
    )

    assert told.returncode != 0
    assert "make clean, then make run" in told.stderr


def test_first_start_says_that_it_takes_minutes() -> None:
    """Before anything else, as `make run` does it in a new checkout."""
    command = ["make", "--dry-run", "run", "VENV=/nowhere", "TORCH=cpu"]
    told = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, env=outside_make()
    )

    assert told.stdout.startswith("echo 'The first start takes some minutes")
    assert "--extra-index-url https://download.pytorch.org/whl/cpu" in told.stdout
