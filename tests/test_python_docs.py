"""What docs/python.md and docs/cut-out.ipynb show runs as it stands."""

import ast
import inspect
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import skimage
from PIL import Image

import cvunet
from cvunet import weights

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/python.md"
NOTEBOOK = ROOT / "docs/cut-out.ipynb"
NOTEBOOK_BYTES = 20_000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with the files that the page names."""
    monkeypatch.chdir(tmp_path)
    photo = Path(skimage.__file__).parent / "data/chelsea.png"
    (tmp_path / "photos").mkdir()
    with Image.open(photo) as image:
        image.save("cat.jpg")
        image.save("photos/cat.jpg")
    (tmp_path / "models").mkdir()
    mine = tmp_path / "models/mine.pth"
    shutil.copy(weights.installed(), mine)
    weights.record_file(mine)
    return tmp_path


def run(code: str, namespace: dict[str, Any]) -> object:  # Any: whatever the code names
    """Execute statements as Jupyter does: the value of a last expression is the result."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), namespace)
    if not isinstance(last, ast.Expr):
        return None
    result: object = eval(compile(ast.Expression(last.value), "<cell>", "eval"), namespace)
    return result


def test_page_runs(folder: Path, capsys: pytest.CaptureFixture[str]):
    """Every block of Python, in order, in one namespace."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    namespace: dict[str, Any] = {}
    for block in blocks:
        run(block, namespace)

    assert len(blocks) >= 6
    assert {path.name for path in folder.glob("cat.*")} == {"cat.jpg", "cat.png", "cat.webp"}
    assert (folder / "photos/cat.webp").exists()
    assert "absent.jpg: cannot be read" in capsys.readouterr().out


def test_page_names_what_is_public():
    """Each public name, and the functions with their arguments and defaults."""
    text = PAGE.read_text("utf-8")
    calls = {bare_call(getattr(cvunet, name)) for name in cvunet.__all__ if name.islower()}

    assert {name for name in cvunet.__all__ if f"`{name}" not in text} == set()
    assert len(calls) == 5
    assert {call for call in calls if call not in text.replace("100_000_000", "100000000")} == set()


def bare_call(function: Callable[..., object]) -> str:
    """A function's name and arguments as the page writes them, without types."""
    signature = inspect.signature(function)
    bare = [each.replace(annotation=each.empty) for each in signature.parameters.values()]
    text = str(signature.replace(parameters=bare, return_annotation=signature.empty))
    return f"`{function.__name__}{text}`".replace("'", '"')


@pytest.mark.usefixtures("folder")
def test_notebook_runs():
    """All cells in order; each that shows something shows a picture or numbers."""
    cells = [cell for cell in read_notebook()["cells"] if cell["cell_type"] == "code"]
    namespace: dict[str, Any] = {}
    shown = [run("".join(cell["source"]), namespace) for cell in cells]

    pictures = [each for each in shown if hasattr(each, "_repr_png_")]
    assert [isinstance(each, cvunet.Cutout) for each in pictures] == [False, True, False, False]
    assert all(each._repr_png_() for each in pictures)
    numbers = next(each for each in shown if isinstance(each, dict))
    assert numbers["shape"] == (512, 512, 4)
    assert 0.2 < numbers["subject"] < 0.7
    assert Path("astronaut.png").exists()


def test_notebook_has_no_outputs():
    """What people ran on their machines stays there; the file stays small."""
    notebook = read_notebook()
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]

    assert NOTEBOOK.stat().st_size < NOTEBOOK_BYTES
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])


def read_notebook() -> dict[str, Any]:  # Any: JSON
    """The notebook's JSON."""
    notebook: dict[str, Any] = json.loads(NOTEBOOK.read_text("utf-8"))
    return notebook
