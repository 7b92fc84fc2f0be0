"""Pages for monitors, if the configuration says where they are served."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.config import folders as hot_folders
from daemon.config.addresses import Address, SocketFile
from daemon.config.schema import Config
from daemon.errors import InstallError
from daemon.reporting.endpoint import Endpoint
from daemon.reporting.latest_snapshot import LatestSnapshot
from daemon.service.owned_folders import OwnedFolders


@contextmanager
def answering_monitors(
    config: Config, base: Path, owned: OwnedFolders, latest_snapshot: LatestSnapshot
) -> Iterator[None]:
    """Tell monitors what stands on the bulletin, if the configuration says where."""
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
    places = {"state": owned.state, "quarantine": owned.quarantine}
    pages = metrics.pages(latest_snapshot, places=places)
    endpoint = Endpoint(resolved(address, base), pages, latest_snapshot.note_turn)
    endpoint.start()
    try:
        yield
    finally:
        endpoint.stop()


def resolved(address: Address, base: Path) -> Address:
    """A socket's path starts where all paths of the configuration do."""
    if isinstance(address, SocketFile):
        return SocketFile(hot_folders.resolve(base, address.path))
    return address
