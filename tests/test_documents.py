"""Documents name files and modules that exist, and link to each other without gaps."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("benchmarks", "cvunet", "daemon", "docs", "manual", "models", "packaging", "tests")
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "models/**/*.md", "packaging/**/*.md")
    for path in ROOT.glob(pattern)
)
#: A path below one of our folders. After a colon it is in some commit (`git show 1a2b3c:models/x`).
PATH = re.compile(rf"(?<![\w:/.<-])(?:{'|'.join(FOLDERS)})/[\w./*{{}},-]*[\w*}}/]")
MODULE = re.compile(r"(?<![\w/.-])(?:daemon|cvunet)(?:\.[a-z_0-9]+)+(?![\w/-])")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
#: Files that a reader makes, or gets out of the history.
MADE = re.compile(r"models/[a-z0-9-]+\.pth|docs/benchmarks-cuda\.md")


def text_of(document: Path) -> str:
    """A document; of the changelog only what is not about earlier versions."""
    text = document.read_text(encoding="utf-8")
    if document.name == "CHANGELOG.md":
        return "".join(text.split("\n## ")[:3])
    return text


def short(path: Path) -> str:
    """A document's path for people."""
    return path.relative_to(ROOT).as_posix()


def test_there_are_documents():
    """The tests below must not pass because nothing was found."""
    assert {"README.md", "docs/architecture.md"} <= set(map(short, DOCUMENTS))


@pytest.mark.parametrize("document", DOCUMENTS, ids=short)
def test_files_exist(document: Path):
    """A file was moved or deleted: write its new path into the document, or drop the sentence."""
    named = {path for path in PATH.findall(text_of(document)) if not MADE.fullmatch(path)}
    missing = {path for path in named if not any(ROOT.glob(path.rstrip("/")))}

    assert missing == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=short)
def test_links_lead_somewhere(document: Path):
    """Links are relative to the document; those to other hosts are not looked at."""
    links = {link for link in LINK.findall(text_of(document)) if "://" not in link}
    broken = {link for link in links if not (document.parent / link).exists()}

    assert broken == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=short)
def test_modules_exist(document: Path):
    """A module was moved or renamed: write its new name into the document."""
    missing = {name for name in MODULE.findall(text_of(document)) if not is_name(name)}

    assert missing == set()


def is_name(dotted: str) -> bool:
    """A module, or something in one; files such as ``cvunet.pth`` are no modules."""
    head, _, last = dotted.rpartition(".")
    if last in {"pth", "yaml", "db", "onnx", "service"}:
        return True
    try:
        return find_spec(dotted) is not None or find_spec(head) is not None
    except ModuleNotFoundError:
        return False
