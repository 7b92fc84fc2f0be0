"""docs/operations.md speaks of this program: its words, its event ids, its commands."""

import re
from pathlib import Path

import pytest

from daemon import event_ids
from daemon.cli import main

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
#: What the code may break into several strings is joined.
SOURCES = "\n".join(
    re.sub(r'"\s+f?"', "", path.read_text(encoding="utf-8"))
    for package in ("daemon", "cvunet")
    for path in (ROOT / package).rglob("*.py")
)
#: What a person will search for, without what changes from one case to another.
SAID = (
    "did you mean ",
    ": SHA-256 is ",
    "fetch the file again, or record your own with: ",
    " is absent; this machine has: ",
    " may not be written by this user: cvunetd doctor",
    "; correct its mode, then retry",
    " (retention.min_free_mb): make room",
    " is not there (deleted, renamed or not mounted)",
    "the new configuration is refused, the old one stays: ",
    "under systemd add the folder to",
    "not a picture in a known format (",
    "does not end",
    "; a restart helps",
    "come back from a batch",
    " while this picture was in work",
    "move it away; nothing is lost: pictures that are claimed are taken up again",
    " is in use by another cvunetd (process ",
    "; allow more: ",
)


@pytest.mark.parametrize("words", SAID)
def test_quoted_message_is_the_programs_own(words: str):
    """Whoever searches for what the log says must find it."""
    told = " ".join(TEXT.split())

    assert words.strip(" :;(") in told
    assert words in SOURCES


def test_every_event_says_what_to_do():
    """A row for each, and none for others."""
    rows = re.findall(r"^\| `([0-9a-f]{32})` \|", TEXT, re.MULTILINE)
    ids = [value for name, value in vars(event_ids).items() if name.isupper()]

    assert sorted(rows) == sorted(ids)


def test_runbook_has_ten_failures():
    """Each with what it looks like, what to do, and when it is fixed."""
    parts = re.split(r"^### \d+\. ", TEXT, flags=re.MULTILINE)[1:]

    assert len(parts) == 10
    assert [part.splitlines()[0] for part in parts if "**Do:**" not in part] == []
    assert [part.splitlines()[0] for part in parts if "**Fixed when:**" not in part] == []
    assert [part.splitlines()[0] for part in parts if "\n    " not in part] == []


def test_every_command_is_there():
    """No command of an older version."""
    named = set(re.findall(r"(?:`|^    )cvunetd ([a-z]+(?:-[a-z]+)?)", TEXT, re.MULTILINE))

    assert {"doctor", "status", "why", "retry", "check-config", "systemd-paths"} <= named
    assert named <= set(main.commands)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([\w.-]+)(?:#\w+)?\)", TEXT))))
def test_linked_page_is_there(link: str):
    """Beside it; they are installed together."""
    assert (ROOT / "docs" / link).is_file()
