"""Prints what setup.cfg asks for, one requirement a line: for environments without torch.

    python3 requirements.py setup.cfg --without torch --extra web --extra hooks

The container and the .deb run the network in onnxruntime. pip cannot leave out one requirement.
"""

import argparse
import configparser
import re
import sys
from collections.abc import Iterator
from pathlib import Path

NAME = re.compile(r"[A-Za-z0-9._-]+")


def requirements(text: str) -> Iterator[str]:
    """Yield the lines of a value that are requirements."""
    for line in text.splitlines():
        if line.strip() and not line.strip().startswith("#"):
            yield line.strip()


def name_of(requirement: str) -> str:
    """Return the distribution's name, as package indexes compare it."""
    found = NAME.match(requirement)
    if found is None:
        raise SystemExit(f"{requirement!r} is no requirement")
    return re.sub(r"[-_.]+", "-", found.group()).lower()


def wanted(setup_cfg: str, *, extras: list[str], without: list[str]) -> list[str]:
    """Return the requirements of the program and of the extras, less some.

    `SystemExit` for an extra that there is not.
    """
    parser = configparser.ConfigParser()
    parser.read_string(setup_cfg)
    offered = parser["options.extras_require"]
    unknown = [extra for extra in extras if extra not in offered]
    if unknown:
        raise SystemExit(f"no such extra: {', '.join(unknown)}; there are {', '.join(offered)}")
    texts = [parser["options"]["install_requires"], *(offered[extra] for extra in extras)]
    found = [line for text in texts for line in requirements(text)]
    return [line for line in dict.fromkeys(found) if name_of(line) not in without]


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("setup_cfg", type=Path)
    parser.add_argument("--extra", action="append", default=[], metavar="NAME")
    parser.add_argument("--without", action="append", default=[], metavar="NAME")
    options = parser.parse_args()
    text = options.setup_cfg.read_text(encoding="utf-8")
    for line in wanted(text, extras=options.extra, without=options.without):
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
