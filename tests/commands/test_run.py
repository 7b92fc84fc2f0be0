"""`cvunetd run`: what it says in a terminal and not elsewhere."""

import sys
from io import StringIO
from pathlib import Path

import pytest

from daemon.commands.config_reader import ConfigReader
from daemon.commands.run import with_systemd
from daemon.config.schema import Config
from daemon.service.supervision import Supervision


class Terminal(StringIO):
    """Standard input of a person."""

    def isatty(self) -> bool:
        """A terminal, unlike a pipe."""
        return True


@pytest.mark.parametrize(
    ("stream", "expected"),
    [(Terminal(), "; stop with Ctrl-C"), (StringIO(), ""), (None, "")],
    ids=["terminal", "pipe", "closed"],
)
def test_hint_how_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: StringIO | None, expected: str
):
    """Only where somebody has keys: systemd gives no terminal."""
    monkeypatch.setattr(sys, "stdin", stream)
    reader = ConfigReader(tmp_path / "config.yaml", Config(), {})

    assert with_systemd(reader, Supervision()).stop_hint == expected
