"""Serves the page and the API: beside the service, or in a process of their own."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.config import folders as hot_folders
from daemon.config.addresses import Address
from daemon.config.models import model_settings
from daemon.config.schema import Config
from daemon.errors import InstallError
from daemon.hooks import signature
from daemon.ledger import ledger as ledgers
from daemon.messages import Message
from daemon.reporting.latest_snapshot import LatestSnapshot
from daemon.worker import model_facts

if TYPE_CHECKING:
    from daemon.web.server import WebServer
    from daemon.web.sources import Source


@contextmanager
def serving_page(
    config: Config,
    base: Path,
    latest: LatestSnapshot,
    hint: Callable[[Message], object],
    *,
    environment: Mapping[str, str],
    config_path: Path | None,
) -> Iterator[None]:
    """Serve in a thread of the daemon, if the configuration has an address."""
    if config.web.address is None:
        yield
        return
    check_extra()
    from daemon.web.sources import OwnProcess

    server = web_server(
        config,
        base,
        config.web.address,
        OwnProcess(latest),
        hint=hint,
        environment=environment,
        config_path=config_path,
    )
    server.start()
    try:
        yield
    finally:
        server.stop()


def check_extra() -> None:
    """Raise `InstallError` if the libraries of the extra are missing."""
    try:
        import daemon.web.server  # noqa: F401
    except ImportError as error:
        raise InstallError(
            f"web.listen is set, but {error.name} is missing:"
            " pip install 'cvunet-daemon[web]', or set web.listen: null"
        ) from error


def web_server(
    config: Config,
    base: Path,
    address: Address,
    source: "Source",
    *,
    hint: Callable[[Message], object],
    environment: Mapping[str, str],
    config_path: Path | None = None,
) -> "WebServer":
    """Return a server that listens already; `InstallError` if it cannot work.

    ``environment`` says where systemd has put credentials.
    """
    from daemon.web.access import Access
    from daemon.web.keys import Keys, read_keys
    from daemon.web.records import LedgerView
    from daemon.web.server import WebServer
    from daemon.web.site import Settings, Site

    web = config.web
    folder = hot_folders.uploads_folder(config, base)
    assert folder is not None, "the schema demands it"
    keys_file = keys_file_of(config, base, environment)
    settings = Settings(
        web=web,
        folder=folder,
        folders=hot_folders.all_folders(config, base),
        state=hot_folders.resolve(base, config.state_dir),
        min_free_mb=config.retention.min_free_mb,
        models=models_of(config, base),
        keep_days=config.retention.keep_days,
        server_folders=tuple(hot_folders.resolve(base, one) for one in web.server_folders),
        config_path=config_path,
        private_paths=private_paths(config, base, keys_file, config_path),
    )
    site = Site(settings, LedgerView(settings.state / ledgers.FILE), source, hint=hint)
    keys = Keys({}) if keys_file is None else read_keys(keys_file)
    access = Access(keys=keys, hosts=web.hosts, origins=web.origins)
    return WebServer(site, access, hot_folders.resolve_address(base, address))


def keys_file_of(config: Config, base: Path, environment: Mapping[str, str]) -> Path | None:
    """Return the file of keys, or the credential that is one; None if no keys are needed."""
    if config.web.keys is None:
        named = config.web.keys_file
        return None if named is None else hot_folders.resolve(base, named)
    try:
        return signature.credential(config.web.keys, environment)
    except InstallError as error:
        text = str(error).replace("secret_file instead of secret", "keys_file instead of keys")
        raise InstallError(f"web.keys: {text}") from error


def private_paths(config: Config, base: Path, *others: Path | None) -> tuple[Path, ...]:
    """Return what messages may name besides the folders of pictures and results."""
    return (
        hot_folders.resolve(base, config.state_dir),
        hot_folders.resolve(base, config.quarantine_dir),
        *hot_folders.backgrounds(config, base),
        *(model.file for model in model_settings(config, base)),
        *(path for path in others if path is not None),
    )


def models_of(config: Config, base: Path) -> list[dict[str, Any]]:  # Any: JSON
    """Return what is told of each model: as it is configured, without paths."""
    return [
        {
            "name": model.name,
            "file": model.file.name,
            **model_facts.origin_of(model.file),
            "runtime": model.runtime,
            "devices": list(model.devices),
            "input_size": model.input_size,
            "is_default": number == 0,
        }
        for number, model in enumerate(model_settings(config, base))
    ]
