"""A live service under low limits of inotify; run inside a user namespace of its own.

    unshare --user --map-root-user python -m tests.system.limited_life FOLDER LIMIT

LIMIT is a name below ``/proc/sys/user``. What happened is printed as JSON, the log goes to stderr.
"""

import json
import logging
import sys
from pathlib import Path

from tests.watching.watch_kit import Live

FOLDERS = 40
LOW = {"max_inotify_watches": 20, "max_inotify_instances": 0}
USUAL = 1000
LIMITS = Path("/proc/sys/user")


def live_through(base: Path, limit: Path) -> dict[str, object]:
    """Too little at start; a picture all the same; enough later."""
    for number in range(FOLDERS):
        (base / "hot" / f"{number:02}").mkdir(parents=True)
    limit.write_text(str(LOW[limit.name]))
    live = Live(base)
    try:
        return short(live) | rich(live, limit)
    finally:
        live.stop()


def short(live: Live) -> dict[str, object]:
    """While there are too few."""
    at_start = dict(live.polled)
    (live.hot / f"{FOLDERS - 1}" / "a.jpg").write_bytes(b"a")
    live.pause(1)
    live.skip(5)  # the sweep of a polled folder
    came = live.until(lambda: live.has_done(1))
    live.skip(400)  # in which watching is tried again, in vain
    return {"at_start": at_start, "came": came, "found_by": dict(live.found_by)}


def rich(live: Live, limit: Path) -> dict[str, object]:
    """Somebody has followed the advice."""
    before = dict(live.polled)
    limit.write_text(str(USUAL))
    live.skip(5)
    is_watched = live.until(lambda: not live.polled)
    live.rely_on_events()
    for number in range(FOLDERS):
        (live.hot / f"{number:02}" / "b.jpg").write_bytes(b"b")
    came = live.until(lambda: live.has_done(1 + FOLDERS))
    found_by = dict(live.found_by)
    return {"before": before, "is_watched": is_watched, "came_later": came, "later": found_by}


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    told = live_through(Path(sys.argv[1]), LIMITS / sys.argv[2])
    sys.stdout.write(json.dumps(told))
