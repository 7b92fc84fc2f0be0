"""`cvunetd clean`: delete old drops now, or tell which ones would go."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

from daemon import config as configuration
from daemon import files
from daemon import folders as hot_folders
from daemon import ledger as ledgers
from daemon import lock as locks
from daemon.errors import printable
from daemon.ledger import Ledger
from daemon.lock import Lock
from daemon.records import Records
from daemon.retention import Retention, expired


def clean(
    config_path: Path | None,
    *,
    is_dry: bool,
    start_logging: Callable[[str], None],
    local_now: datetime,
) -> Iterator[str]:
    """One line for each drop that goes or would go. `InstallError` if a daemon runs: it cleans."""
    config, base = configuration.load(config_path)
    start_logging(config.log.level)
    roots = {hot_folders.hot_folder(config, base, folder).output_root for folder in config.folders}
    state = hot_folders.resolve(base, config.state_dir)
    keep_days = config.retention.keep_days
    if is_dry:
        for drop in expired(roots, keep_days=keep_days, local_now=local_now):
            yield f"would delete {printable(drop)}"
        return
    lock = Lock(state / locks.FILE)
    lock.take(f"state folder {state}")
    with closing(Ledger(state / ledgers.FILE)) as ledger:
        retention = Retention(
            roots,
            keep_days=keep_days,
            sweep_s=0.0,
            is_open=Records(ledger).is_open,
            on_removed=ledger.forget_drop,
        )
        old = list(expired(roots, keep_days=keep_days, local_now=local_now))
        retention.sweep(monotonic=0.0, local_now=local_now)
        yield from (f"deleted {printable(drop)}" for drop in old if not files.exists(drop))
    lock.release()
