"""Serves the pages for monitors, if the configuration has an address for them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.config import folders as hot_folders
from daemon.config.schema import Config
from daemon.errors import InstallError
from daemon.reporting.latest_snapshot import LatestSnapshot
from daemon.service.owned_folders import OwnedFolders


@contextmanager
def serving_monitors(
    config: Config, base: Path, owned: OwnedFolders, latest_snapshot: LatestSnapshot
) -> Iterator[None]:
    """Serve the latest snapshot to monitors, if the configuration has an address."""
    address = config.metrics.address
    if address is None:
        yield
        return
    try:
        from daemon.reporting import metrics
    except ImportError as error:
        raise InstallError(
            f"metrics.listen is set, but {error.name} is missing:"
            " pip install 'cvunet-daemon[metrics]', or set metrics.listen: null"
        ) from error
    from daemon.reporting.endpoint import Endpoint  # with Python's HTTP server and TLS

    places = {"state": owned.state, "quarantine": owned.quarantine}
    pages = metrics.pages(latest_snapshot, places=places)
    place = hot_folders.resolve_address(base, address)
    endpoint = Endpoint(place, pages, latest_snapshot.note_turn)
    endpoint.start()
    try:
        yield
    finally:
        endpoint.stop()
