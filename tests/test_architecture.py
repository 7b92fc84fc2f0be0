"""The promises of docs/architecture.md that a machine can check."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
#: Where the tables of packages are: from top to bottom, a row imports only rows further down.
DOCUMENT = ROOT / "docs" / "architecture.md"
SECTIONS = {"daemon": "\n## 3. ", "cvunet": "\n## 4. "}
NAME = re.compile(r"`([\w.]+)`")
#: A row that may be imported and, in brackets, the only modules of it that may be.
TARGET = re.compile(r"(?:`(\w+)`|\b(bottom)\b)(?: \(([^)]*)\))?")
EVERYTHING = "everything below"
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
        "daemon/web/upload_ids.py",
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


class Cells(NamedTuple):
    """A row of a table of packages."""

    lives: str
    """What lives there."""
    may_import: str


def read_table(root: str) -> dict[str, Cells]:
    """Read a table of the document, by the first cell of each row."""
    text = DOCUMENT.read_text(encoding="utf-8").partition(SECTIONS[root])[2].partition("\n## ")[0]
    lines = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]
    return {row.strip(" `"): Cells(lives, last) for row, lives, _, last in lines[2:]}


TABLES = {root: read_table(root) for root in SECTIONS}
#: The modules of the last row of `daemon`; `__init__` has the version.
BOTTOM = {*NAME.findall(TABLES["daemon"]["bottom"].lives), "__init__"}


def targets_of(root: str, row: str) -> dict[str, list[str]]:
    """By row that a row may import: the only modules of it; none if it may import all of them."""
    cell, rows = TABLES[root][row].may_import, list(TABLES[root])
    if EVERYTHING in cell:
        return {one: [] for one in rows[rows.index(row) + 1 :]}
    return {one[1] or one[2]: NAME.findall(one[3] or "") for one in TARGET.finditer(cell)}


def row_of(name: str) -> str:
    """The row that a module stands in: its package, itself, or `bottom`."""
    root, _, rest = name.partition(".")
    if root == "daemon":
        package = rest.partition(".")[0] or "__init__"
        return "bottom" if package in BOTTOM else package
    return rest.partition(".")[0] or root


class Arrow(NamedTuple):
    """A module imports one of another row."""

    name: str
    imported: str
    row: str
    target: str

    def is_of(self, module: str) -> bool:
        """Whether it leads to this module of its target, or into this package of it."""
        return f"{self.imported}.".partition(f".{self.target}.")[2].startswith(f"{module}.")


def arrows(root: str) -> list[Arrow]:
    """Every import that leads from one row of a table to another."""
    found = [
        Arrow(name, one, row_of(name), row_of(one) if one.startswith(root) else "cvunet")
        for name, imports in GRAPH.items()
        for one in imports
        if name.startswith(root) and name != "daemon.__main__"
    ]
    return [arrow for arrow in found if arrow.row != arrow.target]


def test_there_is_something_to_check():
    """The tests below must not pass because nothing was found."""
    assert {"daemon.service.service", "daemon.worker.engines.local"} <= set(GRAPH)
    assert "cvunet.network.encoder" in GRAPH["cvunet.network.network"]
    assert "daemon.jobs" in GRAPH["daemon.lifecycle.intake"]


@pytest.mark.parametrize("root", TABLES)
def test_every_module_lies_in_a_package(root: str):
    """A new one is put into the package whose `__init__` describes it, or gets a row."""
    homeless = {
        name
        for name in MODULES
        if name.startswith(root) and row_of(name) not in {*TABLES[root], "__main__"}
    }

    assert homeless == set(), "move it into a package, or add a row to docs/architecture.md"


@pytest.mark.parametrize("root", TABLES)
def test_imports_follow_the_document(root: str):
    """An import that its row does not name: move the code down, or pass it in from above."""
    against = []
    for arrow in arrows(root):
        modules = targets_of(root, arrow.row).get(arrow.target)
        if modules is None or (modules and not any(map(arrow.is_of, modules))):
            against.append(f"{arrow.name} imports {arrow.imported}")

    assert against == []


@pytest.mark.parametrize("root", TABLES)
def test_document_names_imports_that_exist(root: str):
    """And no row above its own: people read the table as a description."""
    rows = [*TABLES[root], "cvunet"]
    upward, unused = [], []
    for row, cells in TABLES[root].items():
        if row == "bottom" or EVERYTHING in cells.may_import:
            continue
        for target, modules in targets_of(root, row).items():
            found = [one for one in arrows(root) if (one.row, one.target) == (row, target)]
            upward += [(row, target)] if rows.index(target) <= rows.index(row) else []
            unused += [] if found else [(row, target)]
            unused += [(row, one) for one in modules if not any(a.is_of(one) for a in found)]

    assert (upward, unused) == ([], [])


def test_bottom_imports_what_its_row_says():
    """Everybody may import these modules, so that they hardly import each other."""
    clauses = [
        clause.partition(": ") for clause in TABLES["daemon"]["bottom"].may_import.split(";")
    ]
    allowed = {
        name: NAME.findall(cell) for names, _, cell in clauses for name in NAME.findall(names)
    }
    found = {name: GRAPH[f"daemon.{name}"] for name in BOTTOM - {"__init__"}}

    assert found == {
        name: {f"daemon.{one}" for one in allowed.get(name, [])} for name in BOTTOM - {"__init__"}
    }


def test_document_names_the_importers_of_cvunet():
    """Nothing else of the daemon may load numpy, OpenCV or torch."""
    [line] = [
        line
        for line in DOCUMENT.read_text(encoding="utf-8").splitlines()
        if line.startswith("`cvunet` is imported only in ")
    ]
    places = re.findall(r"`(worker/[\w./]+)`", line)
    importers = {short(MODULES[one.name]) for one in arrows("daemon") if one.target == "cvunet"}
    found = {
        next((place for place in places if one.startswith(f"daemon/{place}")), one)
        for one in importers
    }

    assert found == set(places)


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


def test_the_daemon_knows_no_torch():
    """Only `cvunet` touches tensors."""
    importers = {
        name
        for name, path in MODULES.items()
        if name.startswith("daemon") and any(one.split(".")[0] == "torch" for one in imported(path))
    }

    assert importers == set()


def test_imports_have_no_cycles():
    """Nor have those inside functions."""
    try:
        list(TopologicalSorter(GRAPH).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


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
    strangers = folders - OTHER_TESTS - {*TABLES["daemon"], *TABLES["cvunet"]}

    assert strangers == set(), "put them beside the tests of the package that they are about"
