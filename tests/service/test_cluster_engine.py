"""What the configuration says of a cluster becomes values for the engine."""

from pathlib import Path
from typing import Any

import pytest

from daemon.config.folders import all_folders
from daemon.config.schema import Config
from daemon.service import cluster_engine
from daemon.service.local_engine import engine_settings
from daemon.worker.engines.cluster.path_maps import MappedFolder
from daemon.worker.engines.local import EngineSettings


def config_of(**ray: Any) -> Config:  # Any: settings of `worker.ray`
    """One hot folder, and these settings."""
    return Config.model_validate(
        {"folders": [{"path": "hot", "name": "hot"}], "worker": {"engine": "ray", "ray": ray}}
    )


def test_access(tmp_path: Path):
    """Files are named from the configuration's folder; without a share pictures may travel."""
    config = config_of(
        address="10.0.0.5:6379", token_file="token", transport="object-store", transport_mb=2
    )
    access = cluster_engine.access(config, tmp_path)

    assert (access.address, access.token_file) == ("10.0.0.5:6379", tmp_path / "token")
    assert (access.is_authenticated, access.is_private) == (True, False)
    assert access.carried_bytes == 2_000_000


def test_access_to_an_open_cluster_of_our_own(tmp_path: Path):
    """Nothing travels but paths."""
    access = cluster_engine.access(config_of(address="local", auth="none"), tmp_path)

    assert (access.is_authenticated, access.is_private, access.carried_bytes) == (False, True, 0)


@pytest.mark.parametrize(("transport", "count"), [("share", 1), ("object-store", 0)])
def test_nodes_look_at_folders_only_if_they_need_them(tmp_path: Path, transport: str, count: int):
    """Weights have to be there in any case."""
    paths = [{"here": "/srv", "there": "/mnt", "nodes": "gpu*"}]
    config = config_of(transport=transport, paths=paths)
    request = cluster_engine.node_request(config, tmp_path, all_folders(config, tmp_path))

    assert (len(request.read), len(request.written), len(request.models)) == (count, count, 1)
    assert request.folders == (MappedFolder(Path("/srv"), Path("/mnt"), "gpu*"),)


def test_each_worker_gets_the_limits(tmp_path: Path):
    """As an engine in this process."""
    config = config_of(concurrency=3)
    setup = cluster_engine.setup(config, tmp_path, all_folders(config, tmp_path))

    assert setup.concurrency == 3
    assert setup.settings.memory_bytes == 2_500_000_000
    assert setup.settings.max_batch == 8


def test_settings_are_made_once_for_a_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """They read manifests of models."""
    made: list[EngineSettings] = []

    def count(config: Config, base: Path) -> EngineSettings:
        made.append(engine_settings(config, base))
        return made[-1]

    monkeypatch.setattr(cluster_engine, "engine_settings", count)
    config = config_of()
    setup = cluster_engine.setup(config, tmp_path, all_folders(config, tmp_path))

    assert made == [setup.settings]
    assert setup.request.served == setup.settings.models
