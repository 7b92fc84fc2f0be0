"""The engine that the configuration names: in this process, or on a cluster."""

from collections.abc import Callable, Iterable
from pathlib import Path

from daemon.config.schema import Config
from daemon.jobs import HotFolder
from daemon.service.local_engine import open_local
from daemon.worker.engines import Engine


def open_configured(
    config: Config,
    base: Path,
    folders: Iterable[HotFolder],
    *,
    on_step: Callable[[str], object] = lambda step: None,
) -> Engine:
    """Return the engine, warm; one on a cluster also if that is away, and then it waits.

    ``folders`` are those that are served. `InstallError` if something has to be installed.
    """
    if config.worker.engine == "local":
        return open_local(config, base, on_step=on_step)
    from daemon.service import cluster_engine  # with asyncio and TLS: 4 MB that few need

    return cluster_engine.open_cluster(config, base, folders, on_step=on_step)
