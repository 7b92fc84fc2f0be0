"""The sample configuration, whose comments are its documentation, as `cvunetd.yaml(5)`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from manual.roff import bold, escaped, example, heading, item, paragraphs, section

#: ``key: value  # comment``, perhaps the first of a list's entry.
SETTING = re.compile(
    r"(?P<indent> *(?:- )?)(?P<key>\w+):(?:\s+(?P<value>[^\s#].*?))??(?:\s+# (?P<text>.*))?"
)
REMARK = re.compile(r" *# ?(?P<text>.*)")
DESCRIPTION = """
One YAML file configures `cvunetd(8)`. Every setting has a default. The file needs to contain only
what differs from the defaults; usually that is at least the path of a folder. The daemon does not
start if a key is unknown, a value is impossible, or a key appears twice; a message names the line.
`cvunetd check-config` checks the file without starting.

Relative paths start from the folder of the file. `SIGHUP` makes a running daemon read the file
again: `folders`, `output`, `postprocess`, `video`, `retention`, `hooks` and `log.level` take effect
at once, the rest at the next start.

Each setting is shown with its default, except `web.listen` and `web.folder`: their default is null
(off).
"""
EXAMPLE = """\
folders:
  - path: /srv/cutouts/products
    output: {preset: marketplace, format: jpeg}
  - path: /srv/cutouts/people
    priority: 10
output:
  root: /srv/cutouts/done
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of the sample."""

    path: tuple[str, ...]
    """Itself and the sections that it is in; a list's entries are ``folders[]``."""
    default: str
    """As it is written; empty for a section."""
    text: str


def read(sample: str) -> Iterator[Setting]:
    """All keys in their order; a remark on lines of its own belongs to the key below it."""
    above: list[tuple[int, str]] = []
    remarks: list[str] = []
    body = sample.split("\n\n", 1)[1]  # what the head says stands in the description
    for line in body.splitlines():
        if remark := REMARK.fullmatch(line):
            remarks.append(remark["text"])
        elif setting := SETTING.fullmatch(line):
            indent, key = setting["indent"], setting["key"]
            above = [(depth, name) for depth, name in above if depth < len(indent)]
            if indent.endswith("- "):
                above[-1] = (above[-1][0], above[-1][1].removesuffix("[]") + "[]")
            path = (*(name for _, name in above), key)
            text = " ".join([*remarks, setting["text"] or ""]).strip()
            yield Setting(path, setting["value"] or "", text)
            above.append((len(indent), key))
            remarks = []
        elif line.strip():
            raise ValueError(f"neither setting nor remark: {line!r}")


def lines(sample: str, *, version: str) -> list[str]:
    """The page."""
    return [
        heading("CVUNETD.YAML", 5, version=version, title="File Formats"),
        section("name"),
        r"cvunetd.yaml \- configuration of cvunetd",
        section("synopsis"),
        "/etc/cvunetd/config.yaml",
        section("description"),
        *paragraphs(DESCRIPTION),
        section("settings"),
        *(line for setting in read(sample) for line in of_setting(setting)),
        section("example"),
        *example(EXAMPLE),
        section("see also"),
        bold("cvunetd(8)"),
    ]


def of_setting(setting: Setting) -> Iterator[str]:
    """A tagged paragraph; a section's name alone says nothing, unless something is said of it."""
    if not setting.text:
        if setting.default:
            raise ValueError(f"{'.'.join(setting.path)} has no comment in config.yaml")
        return
    value = f": {escaped(setting.default)}" if setting.default else ""
    yield from item(bold(".".join(setting.path)) + value, setting.text)
