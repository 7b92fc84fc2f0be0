"""`cvunetd check-config`: checks configuration, folders, weights and hooks without starting."""

import os
from collections.abc import Iterator
from pathlib import Path

from daemon.commands.startup import check_configured
from daemon.config import folders, models, schema
from daemon.config.schema import Config
from daemon.errors import InstallError, printable
from daemon.hooks.loader import HookLoader
from daemon.web.keys import read_keys
from daemon.worker import finishing, predictors


def lines(config_path: Path | None) -> Iterator[str]:
    """Yield what would be used, for people; `InstallError` has a line for each fault."""
    config, base = schema.load(config_path)
    check_configured(config_path, config, base)
    faults = Faults()
    with faults:
        found = folders.hot_folders(config, base)
    state = folders.resolve(base, config.state_dir)
    with faults:
        served = models.model_settings(config, base)
        for model in served:
            with faults:
                predictors.check_model(model, (state,))
    with faults:
        predictors.check_colours(folders.needed_colours(config))
    check_files(config, base, faults)
    with faults:
        hooks = HookLoader(base, os.environ, is_check=True).subscriptions(config.hooks).hooks
    if faults.lines:
        raise InstallError("\n".join(faults.lines))
    yield from (
        f"configuration: {name_of(config_path)}: without a fault",
        *(f"{folder.name}: {folder.path} -> {folder.output_root}" for folder in found),
    )
    if config.models:
        yield from (f"model {model.name}: {model.file}" for model in served)
    else:
        yield f"weights: {served[0].file}"
    yield from (f"hook: {printable(hook.key)}" for hook in hooks)


def check_files(config: Config, base: Path, faults: "Faults") -> None:
    """Check backgrounds, and what the page needs."""
    with faults:
        finishing.check_backgrounds(folders.backgrounds(config, base))
    for place in config.web.server_folders:
        with faults:
            folders.resolve(base, place)
    if config.web.listen is not None and config.web.keys_file is not None:
        with faults:
            read_keys(folders.resolve(base, config.web.keys_file))


def name_of(config_path: Path | None) -> str:
    """Return which file was checked."""
    path = schema.find(config_path)
    return "no file, all defaults" if path is None else printable(path)


class Faults:
    """Collects what is wrong, so that one run tells everything that must be mended."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __enter__(self) -> None:
        """Begin a check."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        """Note a fault, and go on."""
        if not isinstance(error, InstallError):
            return False
        self.lines += [line for line in str(error).splitlines() if line not in self.lines]
        return True
