"""The promises of docs/architecture.md that a machine can check."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: Each package, and the packages that it may import. From top to bottom: a row names only rows
#: further down. Rows in capitals below are single modules that several packages share.
DAEMON = {
    "cli": {"commands", "reporting", "cli_endings", "cli_options", "VALUES"},
    "cli_endings": {"reporting", "VALUES"},
    "commands": {
        *("service", "web", "lifecycle", "hooks", "reporting", "watching", "retention"),
        *("worker", "config", "ledger", "disk", "VALUES"),
    },
    "service": {
        *("web", "lifecycle", "hooks", "reporting", "watching", "retention"),
        *("worker", "config", "ledger", "disk", "VALUES"),
    },
    "web": {"lifecycle", "reporting", "watching", "config", "ledger", "disk", "VALUES"},
    "lifecycle": {"hooks", "watching", "worker", "ledger", "disk", "VALUES"},
    "hooks": {"reporting", "config", "ledger", "disk", "VALUES"},
    "reporting": {"worker", "config", "disk", "VALUES"},
    "watching": {"disk", "VALUES"},
    "retention": {"ledger", "disk", "VALUES"},
    "worker": {"cvunet", "disk", "VALUES"},
    "config": {"disk", "VALUES"},
    "ledger": {"VALUES"},
    "disk": {"VALUES"},
    "cli_options": set(),
    "VALUES": set(),
}
CVUNET = {
    "__init__": {"clip_cutout", "cutout", "inference", "matte", "pictures", "SHARED"},
    "clip_cutout": {"cutout", "video", "inference", "pictures", "SHARED"},
    "cutout": {"inference", "matte", "pictures", "models", "SHARED"},
    "training": {"inference", "matte", "pictures", "weights", "network", "SHARED"},
    "export": {"inference", "weights", "network", "models", "SHARED"},
    "video": {"inference", "matte", "pictures", "SHARED"},
    "inference": {"matte", "pictures", "weights", "network", "models", "SHARED"},
    "matte": {"pictures", "SHARED"},
    "pictures": {"SHARED"},
    "weights": {"network", "models", "SHARED"},
    "models": {"SHARED"},
    "network": set(),
    "SHARED": set(),
}
#: The values that travel between packages: `errors` at the bottom, then `jobs` and `notices`.
VALUES = {"errors", "jobs", "notices", "messages", "settings", "event_ids", "log_fields"}
VALUES |= {"json_values", "name_patterns", "portable_names", "turns", "__init__", "renderings"}
VALUES |= {"clips", "backoff", "collector"}
SHARED = {"errors", "files", "scores", "yaml_files"}
#: Folders of tests that mirror no package.
OTHER_TESTS = {"system", "torture", "benchmarks", "browser", "ways"}

FILE_LINES = 300
FUNCTION_LINES = 40
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
TRAINING = ROOT / "cvunet" / "training"  # a program for people, with a progress bar anywhere
SOLE_IMPORTERS = {
    "watchdog": {"daemon/watching/watch.py"},
    "sqlite3": {"daemon/ledger/database.py"},
    "yaml": {"daemon/config/schema.py", "daemon/config/faults.py", "cvunet/yaml_files.py"},
    "pydantic": {
        "daemon/config/schema.py",
        "daemon/config/faults.py",
        "daemon/config/hook_schema.py",
        "daemon/config/model_schema.py",
        "daemon/config/options.py",
        "daemon/config/output_schema.py",
        "daemon/config/ray_schema.py",
        "daemon/config/request_options.py",
        "daemon/config/web_schema.py",
        "daemon/config/postprocess_schema.py",
    },
    "click": {"daemon/cli.py", "daemon/cli_endings.py", "daemon/cli_options.py"},
    "pathspec": {"daemon/name_patterns.py"},
    "PIL": {
        "cvunet/pictures/reading.py",
        "cvunet/pictures/samples.py",
        "cvunet/pictures/profiles.py",
        "cvunet/pictures/metadata.py",
        "cvunet/pictures/encoding.py",
        "cvunet/pictures/damage.py",
        "cvunet/pictures/resample.py",
        "cvunet/pictures/unsupported.py",
        "cvunet/pictures/thumbnails.py",
        "cvunet/pictures/ppm.py",
    },
    "systemd": {"daemon/reporting/journal.py", "daemon/reporting/notify.py"},
    "ray": {"daemon/worker/engines/ray.py"},
    "isal": {"cvunet/pictures/deflate.py"},
    "av": {"cvunet/video/av_library.py"},
    "onnxruntime": {"cvunet/inference/onnx_session.py"},
    "tqdm": {"daemon/commands/batch.py"},
    "prometheus_client": {"daemon/reporting/metrics.py"},
    "urllib3": {"daemon/hooks/webhooks.py"},
    "starlette": {
        "daemon/web/app.py",
        "daemon/web/archives.py",
        "daemon/web/bodies.py",
        "daemon/web/cutouts.py",
        "daemon/web/drop_pictures.py",
        "daemon/web/drops.py",
        "daemon/web/events.py",
        "daemon/web/gate.py",
        "daemon/web/history.py",
        "daemon/web/machine.py",
        "daemon/web/openapi_page.py",
        "daemon/web/overview.py",
        "daemon/web/pictures.py",
        "daemon/web/reception.py",
        "daemon/web/rembg.py",
        "daemon/web/removebg.py",
        "daemon/web/sending.py",
        "daemon/web/server_folders.py",
        "daemon/web/static_files.py",
        "daemon/web/versions.py",
    },
    "uvicorn": {"daemon/web/server.py", "daemon/web/protocol.py"},
    "python_multipart": {"daemon/web/multipart.py"},
}
FILES = sorted(path for package in ("cvunet", "daemon") for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    """A file's name as a module."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in FILES}


@cache
def imported(path: Path) -> frozenset[str]:
    """Everything that a file imports, wherever in it; names of a package's modules as modules."""
    return frozenset(read_imports(path))


def read_imports(path: Path) -> Iterator[str]:
    """The same, one after the other."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            assert node.module is not None
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & set(MODULES)
            yield from inner or {node.module}


GRAPH = {name: {one for one in imported(path) if one in MODULES} for name, path in MODULES.items()}


def short(path: Path) -> str:
    """A file's path for people."""
    return path.relative_to(ROOT).as_posix()


def row_of(name: str) -> str:
    """The row of the tables above that a module stands in: its package, `VALUES` or `SHARED`."""
    root, _, rest = name.partition(".")
    package = rest.partition(".")[0] or "__init__"
    if root == "daemon":
        return "VALUES" if package in VALUES else package
    return "SHARED" if package in SHARED else package


def arrows(root: str) -> dict[str, dict[str, str]]:
    """By row, the rows that it imports, each with one import as evidence."""
    found: dict[str, dict[str, str]] = {}
    for name, imports in GRAPH.items():
        if not name.startswith(root) or name == "daemon.__main__":
            continue
        for other in imports:
            target = row_of(other) if other.startswith(root) else other.partition(".")[0]
            if target != row_of(name):
                found.setdefault(row_of(name), {})[target] = f"{name} imports {other}"
    return found


def test_there_is_something_to_check():
    """The tests below must not pass because nothing was found."""
    assert {"daemon.service.service", "daemon.worker.engines.local"} <= set(GRAPH)
    assert "cvunet.network.encoder" in GRAPH["cvunet.network.network"]
    assert "daemon.jobs" in GRAPH["daemon.lifecycle.intake"]


@pytest.mark.parametrize(("root", "table"), [("daemon", DAEMON), ("cvunet", CVUNET)])
def test_every_module_lies_in_a_package(root: str, table: dict[str, set[str]]):
    """A new one is put into the package whose `__init__` describes it, or gets a row above."""
    homeless = {
        name
        for name in MODULES
        if name.startswith(root) and row_of(name) not in {*table, "__main__"}
    }

    assert homeless == set(), "move it into a package, or add a row to the table of this test"


@pytest.mark.parametrize(("root", "table"), [("daemon", DAEMON), ("cvunet", CVUNET)])
def test_imports_follow_the_table(root: str, table: dict[str, set[str]]):
    """An import that the table does not name: move the code down, or pass it in from above."""
    against = {
        evidence
        for row, targets in arrows(root).items()
        for target, evidence in targets.items()
        if target not in table[row]
    }

    assert against == set()


@pytest.mark.parametrize(("root", "table"), [("daemon", DAEMON), ("cvunet", CVUNET)])
def test_table_points_down(root: str, table: dict[str, set[str]]):
    """Each row names rows below it, and only imports that exist: people read it as a document."""
    rows = [*table, "cvunet"]
    upward = {
        row: {one for one in table[row] if rows.index(one) <= rows.index(row)} for row in table
    }
    used = arrows(root)
    unused = {row: table[row] - set(used.get(row, {})) for row in table}

    assert {row: names for row, names in upward.items() if names} == {}
    assert {row: names for row, names in unused.items() if names} == {}


@pytest.mark.parametrize("path", [path for path in FILES if path.name == "__init__.py"], ids=short)
def test_package_says_what_belongs_there(path: Path):
    """Its docstring is what a newcomer reads first; what it hands on exists and is used outside."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package, handed = name_of(path), exported(path)
    used = {
        one
        for name, imports in GRAPH.items()
        for one in imports
        if one.startswith(f"{package}.") and not name.startswith(f"{package}.")
    }

    assert len(ast.get_docstring(tree) or "") > 30
    if package.count(".") == 1:
        direct = {".".join(one.split(".")[:3]) for one in used}
        assert direct == {f"{package}.{name}" for name in handed}, f"mend __all__ in {short(path)}"


def exported(path: Path) -> list[str]:
    """The names in a package's `__all__`."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    return []


def test_only_the_worker_knows_torch():
    """Nothing else of the daemon touches tensors."""
    importers = {
        name
        for name, path in MODULES.items()
        if name.startswith("daemon") and any(one.split(".")[0] == "torch" for one in imported(path))
    }

    assert importers <= {"daemon.worker.worker"}


def test_imports_have_no_cycles():
    """Nor have those inside functions."""
    try:
        list(TopologicalSorter(GRAPH).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


@pytest.mark.parametrize("name", ["daemon.errors", "daemon.notices", "cvunet.errors"])
def test_bottom_imports_nothing(name: str):
    """Everybody may import these."""
    assert GRAPH[name] == set()


def test_jobs_import_two_values():
    """A failure's blame travels with its outcome, and a task says how its result is made."""
    assert GRAPH["daemon.jobs"] == {"daemon.errors", "daemon.renderings", "daemon.clips"}
    assert GRAPH["daemon.clips"] == {"daemon.renderings"}
    assert GRAPH["daemon.renderings"] == set()


def test_nobody_imports_the_top():
    """The command line is imported by its entry point only."""
    importers = {name for name, imports in GRAPH.items() if "daemon.cli" in imports}

    assert importers == {"daemon.__main__"}


@pytest.mark.parametrize("library", SOLE_IMPORTERS)
def test_library_has_its_sole_importers(library: str):
    """Replacing or faking it touches these files."""
    importers = {
        short(path)
        for path in FILES
        if any(name.split(".")[0] == library for name in imported(path))
        and not (library == "tqdm" and path.is_relative_to(TRAINING))
    }

    assert SOLE_IMPORTERS[library] == importers


@pytest.mark.parametrize("path", FILES, ids=short)
def test_file_is_short(path: Path):
    """One job per file."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= FILE_LINES


@pytest.mark.parametrize("path", FILES, ids=short)
def test_functions_are_short(path: Path):
    """One job per function; its decorators do not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    too_long = {
        node.name: length
        for node in functions
        if (length := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES
    }

    assert too_long == {}


def test_every_module_is_a_noun():
    """A function without a home means that a noun is missing."""
    parts = {part for name in MODULES for part in name.split(".")}

    assert BANNED_NAMES & parts == set()


def test_tests_mirror_the_packages():
    """A module's tests are found in the folder of its package's name."""
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/*.py")}
    strangers = folders - OTHER_TESTS - {row for row in (*DAEMON, *CVUNET) if row.islower()}

    assert strangers == set(), "put them beside the tests of the package that they are about"
