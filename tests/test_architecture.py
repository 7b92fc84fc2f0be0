"""The promises of docs/architecture.md that a machine can check."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("cvunet", "daemon")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
FILE_LINES = 300
FUNCTION_LINES = 40
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
TRAINING = ROOT / "cvunet" / "training"  # a program for people, with a progress bar anywhere
SOLE_IMPORTERS = {
    "watchdog": {"daemon/watch.py"},
    "sqlite3": {"daemon/database.py"},
    "yaml": {"daemon/config.py", "daemon/configfaults.py", "cvunet/documents.py"},
    "pydantic": {
        "daemon/config.py",
        "daemon/configfaults.py",
        "daemon/hookconfig.py",
        "daemon/outputconfig.py",
    },
    "click": {"daemon/cli.py"},
    "PIL": {
        "cvunet/images.py",
        "cvunet/samples.py",
        "cvunet/profiles.py",
        "cvunet/metadata.py",
        "cvunet/encoding.py",
        "cvunet/damage.py",
    },
    "systemd": {"daemon/journal.py", "daemon/notify.py"},
    "isal": {"cvunet/deflate.py"},
    "tqdm": {"daemon/running.py"},
    "prometheus_client": {"daemon/metrics.py"},
    "urllib3": {"daemon/hooks/webhooks.py"},
}


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


def test_there_is_something_to_check():
    """The tests below must not pass because nothing was found."""
    assert {"daemon.service", "daemon.engines.local", "cvunet.network"} <= set(GRAPH)
    assert "daemon.jobs" in GRAPH["daemon.intake"]


def test_library_knows_nothing_of_the_daemon():
    """cvunet never imports daemon."""
    guilty = {
        name
        for name, path in MODULES.items()
        if name.startswith("cvunet")
        and any(one.split(".")[0] == "daemon" for one in imported(path))
    }

    assert guilty == set()


def test_only_the_worker_knows_the_library():
    """One border between service and pixels, of four modules."""
    importers = {
        name
        for name, path in MODULES.items()
        if name.startswith("daemon")
        and any(one.split(".")[0] == "cvunet" for one in imported(path))
    }

    assert importers == {
        "daemon.worker",
        "daemon.decoding",
        "daemon.finishing",
        "daemon.predictors",
    }


def test_only_the_worker_side_knows_torch():
    """Nothing of the daemon touches tensors."""
    importers = {
        name
        for name, path in MODULES.items()
        if name.startswith("daemon") and any(one.split(".")[0] == "torch" for one in imported(path))
    }

    assert importers <= {"daemon.worker"}


def test_imports_have_no_cycles():
    """Nor have those inside functions."""
    try:
        list(TopologicalSorter(GRAPH).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


@pytest.mark.parametrize("name", ["daemon.errors", "cvunet.errors"])
def test_bottom_imports_nothing(name: str):
    """Everybody may import these."""
    assert GRAPH[name] == set()


def test_jobs_import_errors_alone():
    """A failure's blame travels with its outcome."""
    assert GRAPH["daemon.jobs"] == {"daemon.errors"}


def test_nobody_imports_the_top():
    """The command line is imported by its entry point only."""
    importers = {name for name, imports in GRAPH.items() if "daemon.cli" in imports}

    assert importers == {"daemon.__main__"}


@pytest.mark.parametrize(
    ("upper", "lower"),
    [
        ("daemon.service", "daemon.parts"),
        ("daemon.parts", "daemon.intake"),
        ("daemon.parts", "daemon.delivery"),
        ("daemon.parts", "daemon.dispatcher"),
        ("daemon.parts", "daemon.hearing"),
        ("daemon.parts", "daemon.hooks.herald"),
        ("daemon.hooks.herald", "daemon.hooks.outbox"),
        ("daemon.hooks.herald", "daemon.hooks.channel"),
        ("daemon.hooks.channel", "daemon.hooks.courier"),
        ("daemon.hooks.courier", "daemon.hooks.notices"),
        ("daemon.intake", "daemon.hooks.outbox"),
        ("daemon.hooks.outbox", "daemon.ledger"),
        ("daemon.hooks.register", "daemon.hooks.commands"),
        ("daemon.hooks.register", "daemon.hooks.webhooks"),
        ("daemon.hooks.webhooks", "daemon.hooks.destinations"),
        ("daemon.hearing", "daemon.watch"),
        ("daemon.service", "daemon.survey"),
        ("daemon.survey", "daemon.report"),
        ("daemon.metrics", "daemon.bulletin"),
        ("daemon.bulletin", "daemon.report"),
        ("daemon.listing", "daemon.status"),
        ("daemon.doctor", "daemon.findings"),
        ("daemon.watch", "daemon.canary"),
        ("daemon.recovery", "daemon.delivery"),
        ("daemon.delivery", "daemon.results"),
        ("daemon.results", "daemon.publication"),
        ("daemon.publication", "daemon.files"),
        ("daemon.worker", "daemon.finishing"),
        ("daemon.worker", "daemon.progress"),
        ("daemon.progress", "daemon.gauges"),
        ("daemon.drops", "daemon.store"),
        ("daemon.store", "daemon.files"),
        ("daemon.store", "daemon.tree"),
        ("daemon.disposal", "daemon.mounts"),
        ("daemon.records", "daemon.ledger"),
        ("daemon.ledger", "daemon.database"),
        ("cvunet.network", "cvunet.encoder"),
        ("cvunet.matting", "cvunet.passes"),
        ("cvunet.passes", "cvunet.graphs"),
        ("cvunet.passes", "cvunet.faults"),
        ("cvunet.graphs", "cvunet.staging"),
    ],
)
def test_arrow_points_down(upper: str, lower: str):
    """Named in the contract; no path leads back up."""
    seen, pending = set(), {lower}
    while pending:
        seen |= pending
        pending = {one for name in pending for one in GRAPH[name]} - seen

    assert lower in GRAPH[upper]
    assert upper not in seen


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
