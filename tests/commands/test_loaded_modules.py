"""What the commands load: one that only looks must answer at once."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cvunet import yaml_files
from cvunet.inference import export_files
from cvunet.models import description

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "models" / "cvunet.pth"
HEAVY = (
    *("torch", "numpy", "cv2", "PIL", "onnxruntime", "starlette", "uvicorn", "urllib3", "isal"),
    *("watchdog", "pathspec", "ray", "av", "click.testing", "asyncio", "ssl", "http.server"),
)
#: Our own that only a running daemon needs: each holds classes that take a millisecond to make.
RUNNING = (
    *("daemon.notices", "daemon.reporting.report", "daemon.hooks", "daemon.service"),
    *("daemon.web", "daemon.worker.lanes", "daemon.worker.engines"),
)
#: Runs a command, then says which of the heavy libraries it has loaded, and how many modules.
PROGRAM = """
import sys
from daemon.cli import main
try:
    main(sys.argv[2:])
except SystemExit as end:
    pass
loaded = [name for name in sys.argv[1].split(",") if name in sys.modules]
print("loaded:", ",".join(loaded), len(sys.modules), file=sys.stderr)
"""
#: Modules, Python's own included: some tens more than were counted.
MOST_MODULES = {"status": 345, "why": 375, "doctor": 400, "--version": 330, "--help": 180}


def loaded_by(*arguments: object) -> tuple[str, int]:
    """Heavy libraries that a command has loaded, and the number of all modules."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, ",".join(HEAVY + RUNNING), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=60,
    )
    *_, last = done.stderr.splitlines()
    assert last.startswith("loaded: "), done.stderr
    names, number = last.removeprefix("loaded: ").rsplit(" ", 1)
    return names, int(number)


def configured(base: Path) -> Path:
    """A configuration whose weights are exported, as after the first start with onnxruntime."""
    (base / "hot").mkdir()
    (base / "state").mkdir()
    export = export_files.place(WEIGHTS, base / "state", 512)
    export.write_bytes(b"an export")
    size, sha256 = export.stat().st_size, description.sha256_of(export)
    described = export_files.description_of(sha256, size, input_size=512)
    entry = description.to_entry(described)
    export.with_suffix(".yaml").write_text(yaml_files.text(entry), encoding="utf-8")
    path = base / "config.yaml"
    model = {"weights": str(WEIGHTS), "device": "cpu", "runtime": "onnxruntime"}
    path.write_text(yaml.safe_dump({"folders": [{"path": "hot"}], "model": model}))
    return path


@pytest.mark.parametrize("command", ["status", "why", "doctor", "--version", "--help"])
def test_a_command_that_only_looks_loads_no_heavy_library(tmp_path: Path, command: str) -> None:
    """Not even numpy; `doctor` trusts an export, which was compared with its weights."""
    config = configured(tmp_path)
    asked = ["why", tmp_path / "hot" / "x.jpg"] if command == "why" else [command]
    where = [] if command.startswith("--") else ["--config", config]

    names, number = loaded_by(*asked, *where)

    assert names == ""
    assert number <= MOST_MODULES[command]
