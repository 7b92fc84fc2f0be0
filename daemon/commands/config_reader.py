"""Reads the configuration again: which settings can change while the daemon runs."""

from collections.abc import Container, Iterator, Mapping
from pathlib import Path

from daemon.config import folders as hot_folders
from daemon.config import schema as configuration
from daemon.config.model_names import model_names
from daemon.config.schema import Config
from daemon.errors import InstallError
from daemon.hooks.loader import HookLoader
from daemon.settings import Settings

#: Sections and keys that are only read at the start.
FIXED = ("model", "models", "worker", "state_dir", "quarantine_dir", "metrics", "web")


class ConfigReader:
    """Reads the file that the daemon was started with."""

    def __init__(
        self, config_path: Path | None, config: Config, environment: Mapping[str, str]
    ) -> None:
        """``config`` is in use since the start; ``environment`` names the credentials."""
        self.path = configuration.find(config_path)
        self.config = config
        self.environment = environment
        base = Path.cwd() if self.path is None else self.path.resolve().parent
        self.backgrounds = hot_folders.backgrounds(config, base)

    def read(self, known: Container[Path]) -> Settings:
        """Return the new settings; `InstallError` has a line for each fault.

        ``known`` are hot folders that work already and are not checked again.
        """
        config, base = configuration.load(self.path)
        hot_folders.hot_folders(config, base, known=known)  # the same checks as at a restart
        self.check_loaded(config, base)
        fixed = {name: getattr(self.config, name) for name in FIXED}
        folders = hot_folders.hot_folders(config.model_copy(update=fixed), base, known=known)
        return Settings(
            folders=folders,
            keep_days=config.retention.keep_days,
            sweep_s=config.retention.sweep_s,
            min_free_mb=config.retention.min_free_mb,
            log_level=config.log.level,
            subscriptions=HookLoader(base, self.environment).subscriptions(config.hooks),
            fixed=tuple(self.changed(config)),
        )

    def check_loaded(self, config: Config, base: Path) -> None:
        """Raise `InstallError` for what the engine loads only at the start."""
        faults = [
            f"background {path} is new: that needs a restart"
            for path in hot_folders.backgrounds(config, base)
            if path not in self.backgrounds
        ]
        needed = hot_folders.needed_colours(config)
        if needed not in ("fast", hot_folders.needed_colours(self.config)):
            faults.append("postprocess.colours: refine or hair: exact is new: that needs a restart")
        faults += [
            f"model {name} is new: that needs a restart" for name in self.new_models(config, base)
        ]
        if faults:
            raise InstallError("\n".join(faults))

    def new_models(self, config: Config, base: Path) -> list[str]:
        """Return models that folders name, and that were not there at the start."""
        # The default is the first of those that are there.
        served = config.model_copy(update={"models": self.config.models})
        used = {
            name
            for folder in hot_folders.all_folders(served, base)
            for name in (folder.model, folder.second)
        }
        return [name for name in config.models if name in used - {*model_names(self.config)}]

    def changed(self, config: Config) -> Iterator[str]:
        """Yield settings that have changed since the start and need a restart."""
        old, new = self.config.model_dump(), config.model_dump()
        for name in FIXED:
            if not isinstance(old[name], dict):
                if old[name] != new[name]:
                    yield name
                continue
            keys = dict.fromkeys((*old[name], *new[name]))
            yield from (f"{name}.{key}" for key in keys if old[name].get(key) != new[name].get(key))
        if config.log.format != self.config.log.format:
            yield "log.format"
