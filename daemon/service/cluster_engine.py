"""The engine on a cluster, as the configuration describes it. Imported only where there is one."""

from collections.abc import Callable, Iterable
from pathlib import Path

from daemon import collector
from daemon.config import folders as hot_folders
from daemon.config.schema import Config
from daemon.jobs import HotFolder
from daemon.service.local_engine import MEGA, engine_settings
from daemon.worker.engines import Engine
from daemon.worker.engines.cluster.access import Access
from daemon.worker.engines.cluster.driver import RayProcess
from daemon.worker.engines.cluster.engine import ClusterEngine
from daemon.worker.engines.cluster.node_checks import NodeRequest
from daemon.worker.engines.cluster.node_worker import Setup
from daemon.worker.engines.cluster.path_maps import MappedFolder
from daemon.worker.engines.local import EngineSettings


def open_cluster(
    config: Config,
    base: Path,
    folders: Iterable[HotFolder],
    *,
    on_step: Callable[[str], object] = lambda step: None,
) -> Engine:
    """Return the engine, also if the cluster is away; then it waits.

    ``folders`` are those that are served. `InstallError` if something has to be installed.
    """
    engine = ClusterEngine(
        access(config, base),
        setup(config, base, folders),
        RayProcess,
        silence_s=config.worker.ray.silence_s,
    )
    engine.wait_until_warm(on_step)
    collector.settle()
    return engine


def access(config: Config, base: Path) -> Access:
    """Return how the cluster is reached."""
    ray = config.worker.ray
    is_carried = ray.transport == "object-store"
    return Access(
        address=ray.address,
        namespace=ray.namespace,
        resource=ray.resource,
        is_authenticated=ray.auth == "token",
        token_file=None if ray.token_file is None else hot_folders.resolve(base, ray.token_file),
        runtime_env=ray.runtime_env,
        carried_bytes=int(ray.transport_mb * MEGA) if is_carried else 0,
    )


def setup(config: Config, base: Path, folders: Iterable[HotFolder]) -> Setup:
    """Return what each worker needs to know; its node is filled in later."""
    settings = engine_settings(config, base)
    return Setup(
        settings,
        node_request_for(settings, config, folders),
        name="",
        address="",
        concurrency=config.worker.ray.concurrency,
    )


def node_request(config: Config, base: Path, folders: Iterable[HotFolder]) -> NodeRequest:
    """Return what each node has to see as we do; no folder if pictures travel through Ray."""
    return node_request_for(engine_settings(config, base), config, folders)


def node_request_for(
    settings: EngineSettings, config: Config, folders: Iterable[HotFolder]
) -> NodeRequest:
    """Return the same, by the engine's settings."""
    served = [] if config.worker.ray.transport == "object-store" else list(folders)
    return NodeRequest(
        read=tuple(sorted({folder.path for folder in served})),
        written=tuple(sorted({folder.output_root for folder in served})),
        models=(*(model.file for model in settings.models), *settings.backgrounds),
        folders=tuple(
            MappedFolder(one.here, one.there, one.nodes) for one in config.worker.ray.paths
        ),
        served=settings.models,
    )
