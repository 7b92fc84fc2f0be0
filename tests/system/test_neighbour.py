"""A neighbour who may write to the hot folder swaps things at every step; nothing is stolen."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.disk import store
from daemon.lifecycle.standby import RECHECK_S
from tests.service.service_kit import Kit
from tests.system.neighbour_kit import NOBODY, SWAPS, Invite, Swap, meddling, swap_everywhere

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(900)]

STRIDE = 5  # `make torture` swaps at every single call


@pytest.fixture
def invite(monkeypatch: pytest.MonkeyPatch) -> Iterator[Invite]:
    """Let a neighbour know of every call."""
    with meddling(monkeypatch) as invite:
        yield invite


@pytest.mark.parametrize("swap", SWAPS)
def test_swap_at_any_step_steals_and_loses_nothing(
    in_memory: Path, invite: Invite, swap: Swap
) -> None:
    """The claim folder, or a sub-folder, is another one from this step on."""
    assert swap_everywhere(in_memory, invite, swap, stride=STRIDE) > 20


def test_claim_folder_that_a_neighbour_made_first_is_not_used(tmp_path: Path) -> None:
    """Before the first start; nothing is taken until it is gone."""
    (tmp_path / "hot" / store.CLAIMS).mkdir(parents=True)
    os.chown(tmp_path / "hot" / store.CLAIMS, NOBODY, NOBODY)
    kit = Kit(tmp_path)
    kit.drop("cat.jpg")
    kit.pass_time(5)
    reason = kit.service.parts.standby.reasons["hot"]
    (tmp_path / "hot" / store.CLAIMS).rename(tmp_path / "away")
    kit.pass_time(2 * RECHECK_S)

    assert f"belongs to user {NOBODY}" in reason
    assert kit.results() == ["cat.png", "originals/cat.jpg"]


def test_claim_folder_that_was_moved_away_is_waited_for(tmp_path: Path) -> None:
    """With a picture in it: the reason says which folder is missed, and how to find it."""
    kit = Kit(tmp_path, is_held=True)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    claims, away = kit.hot / store.CLAIMS, tmp_path / "away"
    inode = claims.stat().st_ino
    claims.rename(away)
    kit.drop("dog.jpg")
    kit.pass_time(2 * RECHECK_S)
    reason = kit.service.parts.standby.reasons["hot"]
    shutil.rmtree(claims, ignore_errors=True)
    away.rename(claims)
    kit.is_held = kit.engine.is_held = False
    kit.engine.run_held()
    kit.pass_time(60, step_s=2)

    assert f"-inum {inode}" in reason
    assert kit.results() == ["cat.png", "dog.png", "originals/cat.jpg", "originals/dog.jpg"]


def test_claim_folder_of_an_earlier_version_is_closed_to_others(tmp_path: Path) -> None:
    """It had mode 0755."""
    claims = tmp_path / "hot" / store.CLAIMS
    claims.mkdir(parents=True, mode=0o755)
    kit = Kit(tmp_path)
    kit.drop("cat.jpg")
    kit.pass_time(5)

    assert claims.stat().st_mode & 0o777 == 0o700
    assert kit.results() == ["cat.png", "originals/cat.jpg"]


def test_hot_folder_that_was_made_anew_is_served(tmp_path: Path) -> None:
    """Its owner has deleted it with all that was in it: nothing is waited for."""
    kit = Kit(tmp_path)
    kit.drop("cat.jpg")
    kit.pass_time(5)
    shutil.rmtree(kit.hot)
    kit.hot.mkdir()
    kit.pass_time(RECHECK_S)
    kit.drop("dog.jpg")
    kit.pass_time(5)

    assert "dog.png" in kit.results()
