"""The man(7) language: text in, requests out."""

import textwrap
from collections.abc import Iterable, Iterator

WIDTH = 80
#: What roff would take for something else, or typeset as something else than it is.
ESCAPES = str.maketrans(
    {"\\": r"\e", "-": r"\-", "^": r"\(ha", "~": r"\(ti", "`": r"\(ga", "'": r"\(aq", '"': r"\(dq"}
)


def escaped(text: str) -> str:
    """Text that appears as it is."""
    plain = text.translate(ESCAPES)
    return "".join(one if one.isascii() else rf"\[u{ord(one):04X}]" for one in plain)


def bold(text: str) -> str:
    """To be typed as it is."""
    return rf"\fB{escaped(text)}\fP"


def italic(text: str) -> str:
    """To be replaced."""
    return rf"\fI{escaped(text)}\fP"


def marked(text: str) -> str:
    """Words between backticks are bold, the rest is plain."""
    return "".join(
        bold(part) if number % 2 else escaped(part) for number, part in enumerate(text.split("`"))
    )


def heading(name: str, section: int, *, version: str, title: str) -> str:
    """The page's first line. It has no date, so that equal sources give equal pages."""
    return f'.TH "{escaped(name)}" {section} "" "cvunetd {version}" "{escaped(title)}"'


def section(title: str) -> str:
    """A heading at the margin."""
    return f'.SH "{escaped(title.upper())}"'


def subsection(title: str) -> str:
    """A heading below a section's."""
    return f'.SS "{escaped(title)}"'


def filled(text: str) -> str:
    """Text between requests, in short lines, none of which is a request itself."""
    lines = textwrap.wrap(marked(text), WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join(verbatim(line) for line in lines)


def verbatim(line: str) -> str:
    """A line that begins with a dot or not, as text."""
    return rf"\&{line}" if line.startswith(".") else line


def paragraphs(text: str) -> Iterator[str]:
    """Each paragraph of a text."""
    for number, paragraph in enumerate(text.strip().split("\n\n")):
        if number:
            yield ".PP"
        yield filled(paragraph)


def example(text: str) -> Iterator[str]:
    """Lines as they are."""
    yield ".EX"
    yield from (verbatim(escaped(line)) for line in text.splitlines())
    yield ".EE"


def item(tag: str, text: str) -> Iterator[str]:
    """A tagged paragraph. ``tag`` is in the language already, ``text`` is not."""
    yield from (".TP", tag, filled(text))


def items(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Tagged paragraphs; the tags are typed as they are."""
    for tag, text in rows:
        yield from item(bold(tag), text)
