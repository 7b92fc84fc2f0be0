"""Locks that somebody else holds: the start is tried again, and the holder is named."""

import subprocess
import sys
from pathlib import Path

import yaml

from tests.system.daemon_process import SETTINGS, call
from tests.torture.tally import Row

#: systemd starts again after this one.
TRY_AGAIN = 70
HOLD = """
import fcntl, sys, time
held = open(sys.argv[1])
fcntl.flock(held, fcntl.LOCK_SH)
print(flush=True)
time.sleep(600)
"""


def locks(base: Path) -> list[Row]:
    """A row for the lock of the state folder, and one for that of the hot folder."""
    (base / "hot").mkdir()
    (base / "config.yaml").write_text(yaml.safe_dump(SETTINGS))
    call(base, "once", "--config", "config.yaml")  # makes both
    return [held(base, name) for name in ("state/lock", "hot/.cvunetd/lock")]


def held(base: Path, name: str) -> Row:
    """Another process holds it while the daemon starts, then lets go."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(base / name)], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        refused = call(base, "once", "--config", "config.yaml")
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    after = call(base, "once", "--config", "config.yaml")
    is_told = str(holder.pid) in refused.stderr
    is_kept = refused.returncode == TRY_AGAIN and is_told and after.returncode == 0
    return Row(
        f"{name} held by another: exit {refused.returncode}, named: {is_told}",
        lost=int(not is_kept),
    )
