"""`cvunetd(8)` and `cvunetd.yaml(5)`."""

from pathlib import Path

from daemon import __version__
from manual import commands, settings

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "packaging" / "man"


def texts() -> dict[Path, str]:
    """Each page's source, by its file."""
    sample = (ROOT / "config.yaml").read_text(encoding="utf-8")
    return {
        FOLDER / "cvunetd.8": page(commands.lines(__version__)),
        FOLDER / "cvunetd.yaml.5": page(settings.lines(sample, version=__version__)),
    }


def page(lines: list[str]) -> str:
    """Lines as a file that says where it comes from."""
    return "\n".join([r".\" Made by `make man`; change the program, not this file.", *lines, ""])
