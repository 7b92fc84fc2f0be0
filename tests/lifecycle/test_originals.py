"""Originals that cannot be put away at once: nothing is called vanished, nothing is forgotten."""

import errno
import os
from pathlib import Path

import pytest

from daemon.disk import store
from daemon.disk.syncs import Syncs
from daemon.lifecycle import standby
from tests.service.service_kit import Kit


def test_a_disk_too_full_for_originals_makes_the_folder_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result is out, the original has no room: no more is taken in until it has."""
    archive = store.archive

    def refuse(source: Path, destination: Path, later: Syncs) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(destination))

    monkeypatch.setattr(store, "archive", refuse)
    kit = Kit(tmp_path)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    resting = dict(kit.service.parts.standby.reasons)
    monkeypatch.setattr(store, "archive", archive)
    kit.pass_time(40, step_s=2)

    assert "No space left" in resting["hot"]
    assert kit.service.parts.standby.reasons == {}
    assert kit.results() == ["cat.png", "originals/cat.jpg"]


def test_an_original_on_an_unmounted_share_has_not_vanished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its empty mount point is there; the original follows when the share is."""
    kit = Kit(tmp_path, is_held=True)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    away = tmp_path / "away"
    with monkeypatch.context() as patch:
        patch.setattr(standby.Standby, "absence", lambda self, folder: "not mounted any more")
        kit.engine.run_held()
        kit.hot.rename(away)
        kit.hot.mkdir()
        kit.pass_time(3)
        before = kit.results()
        kit.hot.rmdir()
        away.rename(kit.hot)
    kit.pass_time(40, step_s=2)

    assert before == ["cat.png"]
    assert kit.results() == ["cat.png", "originals/cat.jpg"]
