"""`cvunetd check-config`: checks configuration, folders, weights and hooks without starting."""

import os
from collections.abc import Iterator
from pathlib import Path

from daemon.config import folders, schema
from daemon.errors import printable
from daemon.hooks.loader import HookLoader
from daemon.worker import finishing, predictors


def lines(config_path: Path | None) -> Iterator[str]:
    """Yield what would be used, for people; `InstallError` has a line for each fault."""
    config, base = schema.load(config_path)
    found = folders.hot_folders(config, base)
    weights = folders.find_weights(config, base)
    predictors.check_weights(weights)
    predictors.check_colours(config.postprocess.needed_colours)
    finishing.check_backgrounds(folders.backgrounds(config, base))
    hooks = HookLoader(base, os.environ, is_check=True).subscriptions(config.hooks).hooks
    yield from (f"{folder.name}: {folder.path} -> {folder.output_root}" for folder in found)
    yield f"weights: {weights}"
    yield from (f"hook: {printable(hook.key)}" for hook in hooks)
