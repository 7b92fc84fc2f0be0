"""Too few inotify watches or instances: the folder is polled, and watched again when it can be."""

import errno
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from daemon.watching import inotify_limits
from tests.system.daemon_process import ROOT, environment


def live_through(base: Path, limit: str) -> tuple[dict[str, Any], str]:  # Any: JSON
    """What a service met under a low limit, and its log."""
    life = ["-m", "tests.system.limited_life", str(base), limit]
    ran = subprocess.run(
        ["unshare", "--user", "--map-root-user", sys.executable, *life],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout), ran.stderr


@pytest.mark.user_namespaces
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("limit", "reason", "advice"),
    [
        # 40 folders, the top and the canary's: of these 42, 20 get a watch.
        ("max_inotify_watches", "22 folders in it got no inotify watch", 524288),
        ("max_inotify_instances", "inotify instance limit reached", 1024),
    ],
)
def test_exhausted(tmp_path: Path, limit: str, reason: str, advice: int) -> None:
    """Polled from the start with the command that helps, nothing lost, and back by itself."""
    met, log = live_through(tmp_path, limit)
    line = (
        f"{reason}; allow more: sysctl -w user.{limit}={advice} (and into /etc/sysctl.d/, to last)"
    )

    assert met["at_start"] == {"hot": line}
    assert log.count(f"is polled every 5 s: {line}") == 1
    assert (met["came"], met["found_by"]) == (True, {"sweep": 1})
    assert met["before"] == met["at_start"]
    assert met["is_watched"], log
    assert log.count("folder hot is watched again: events arrive") == 1
    assert (met["came_later"], met["later"]) == (True, {"sweep": 1, "event": 40}), log


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `/proc/sys` of an old machine."""
    monkeypatch.setattr(inotify_limits, "SETTINGS", tmp_path)
    for name, value in (("watches", 8192), ("instances", 128)):
        for place in (f"fs/inotify/max_user_{name}", f"user/max_inotify_{name}"):
            (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / place).write_text(f"{value}\n")
    return tmp_path


def test_advice_names_the_systems_limit(settings: Path) -> None:
    """Where a namespace sets no lower one."""
    told = inotify_limits.advice(errno.ENOSPC, needed=100)

    assert told.startswith("sysctl -w fs.inotify.max_user_watches=524288 ")


def test_advice_names_the_namespaces_limit(settings: Path) -> None:
    """The lower one is what ran out, as in a container."""
    (settings / "user/max_inotify_watches").write_text("100")

    assert "user.max_inotify_watches=524288" in inotify_limits.advice(errno.ENOSPC, needed=100)


def test_advice_suffices_for_a_huge_tree(settings: Path) -> None:
    """Also while other programs hold all that is allowed now."""
    (settings / "fs/inotify/max_user_watches").write_text("900000")
    (settings / "user/max_inotify_watches").write_text("900000")

    assert "max_user_watches=2097152" in inotify_limits.advice(errno.ENOSPC, needed=200_000)


def test_advice_for_instances(settings: Path) -> None:
    """One instance serves all our folders."""
    told = inotify_limits.advice(errno.EMFILE, needed=100_000)

    assert told.startswith("sysctl -w fs.inotify.max_user_instances=1024 ")


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOENT, None])
def test_no_advice_where_none_helps(settings: Path, number: int | None) -> None:
    """More watches do not open a closed folder."""
    assert inotify_limits.advice(number, needed=1) == ""


def test_hidden_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox without `/proc/sys` still gets an answer."""
    monkeypatch.setattr(inotify_limits, "SETTINGS", tmp_path)

    assert inotify_limits.current_values() == (-1, -1, -1, -1)
    assert "fs.inotify.max_user_watches=1048576" in inotify_limits.advice(errno.ENOSPC, needed=1)
