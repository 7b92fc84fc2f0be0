"""`config.yaml`: every setting with its default; the whole file is checked before a start."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from daemon.config import addresses
from daemon.config.addresses import Address
from daemon.config.faults import duplicates, explain
from daemon.config.hook_schema import Hooks
from daemon.config.model_schema import Model, NamedModel, check_names
from daemon.config.output_schema import (
    Count,
    NotNegative,
    Output,
    OutputOverrides,
    Positive,
    Section,
    Share,
)
from daemon.config.postprocess_schema import Postprocess, PostprocessOverrides
from daemon.config.ray_schema import Ray
from daemon.config.web_schema import Web
from daemon.errors import InstallError
from daemon.errors import explain as in_words
from daemon.name_patterns import NamePatterns

SEARCHED = (Path("config.yaml"), Path("/etc/cvunetd/config.yaml"))
#: What the parser raises besides its own errors: for a date or a number that is none (2026-13-45,
#: !!int four), and for a value that holds itself.
NO_VALUE = (ValueError, AttributeError, OverflowError, RecursionError)


class Folder(Section):
    """One hot folder."""

    path: Path
    name: str | None = None
    recursive: bool = True
    settle_s: Positive = 2.0
    defer_s: NotNegative = 120.0
    watch: Literal["auto", "inotify", "polling"] = "auto"
    originals: Literal["archive", "keep", "delete"] = "archive"
    priority: int = 0
    model: str | None = None
    ignore: tuple[str, ...] = ()
    prune: bool = False
    video: Literal["auto", "cut", "first-frame", "ignore"] = "auto"
    output: OutputOverrides = OutputOverrides()
    postprocess: PostprocessOverrides = PostprocessOverrides()

    @field_validator("name")
    @classmethod
    def check_name(cls, value: str | None) -> str | None:
        """Check that the name can be a folder's name: rejected pictures go into such a folder."""
        if value is not None and ("/" in value or value.startswith(".") or not value.isprintable()):
            raise ValueError("a folder's name has no slash and does not begin with a dot")
        return value

    @model_validator(mode="after")
    def check_prune(self) -> "Folder":
        """Check that something can be emptied: kept originals stay in their sub-folders."""
        if self.prune and self.originals == "keep":
            raise ValueError(
                "prune: true removes emptied sub-folders; with originals: keep none is"
            )
        return self

    @field_validator("ignore")
    @classmethod
    def check_ignore(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Check that each line is a pattern: a comment would match nothing."""
        for line in value:
            if line.startswith("#") or not line.strip():
                raise ValueError(f"{line!r} is a comment in gitignore: write a name, as '\\#name'")
            try:
                NamePatterns((line,))
            except ValueError as error:
                raise ValueError(f"{line!r} is no pattern of gitignore") from error
        return value


class WorkerSettings(Section):
    """The pipeline's limits."""

    engine: Literal["local", "ray"] = "local"
    max_batch: Annotated[int, Field(ge=1, le=256)] = 8
    max_wait_ms: NotNegative = 20.0
    queue_size: Count = 64
    max_megapixels: Positive = 100.0
    max_file_mb: Positive = 2000.0
    max_decode_s: Positive = 120.0
    memory_mb: Count = 2500
    clips: Annotated[int, Field(ge=1, le=16)] = 1
    video_share: Annotated[float, Field(ge=0.05, le=0.95)] = 0.25
    max_video_minutes: Positive = 60.0
    max_video_mb: Positive = 20_000.0
    ray: Ray = Ray()


class Steady(Section):
    """How the edges of clips are kept from flickering."""

    window: Annotated[int, Field(ge=0, le=8)] = 2
    strength: Share = 1.0


class Video(Section):
    """What is done with clips, in all folders."""

    steady: Steady = Steady()
    on_damage: Literal["keep", "reject"] = "keep"


class Retention(Section):
    """What is deleted when, and when a disk counts as full."""

    keep_days: Annotated[float, Field(gt=0, le=100_000)] = 7.0  # more than dates can hold
    sweep_s: Positive = 3600.0
    min_free_mb: NotNegative = 512.0


class Metrics(Section):
    """Metrics for monitors, off by default."""

    listen: str | None = None

    @field_validator("listen")
    @classmethod
    def check_listen(cls, value: str | None) -> str | None:
        """Accept an address that other machines cannot reach."""
        if value is not None:
            addresses.parse(value)
        return value

    @property
    def address(self) -> Address | None:
        """Return where to listen; None if metrics are off."""
        return None if self.listen is None else addresses.parse(self.listen)


class Log(Section):
    """How much is logged, and in which form."""

    format: Literal["auto", "plain", "json"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(Section):
    """The whole file."""

    folders: Annotated[list[Folder], Field(min_length=1)] = Field(
        default=[Folder(path=Path("hot"), name="hot")]
    )
    output: Output = Output()
    model: Model = Model()
    models: dict[str, NamedModel] = Field(default_factory=dict)
    worker: WorkerSettings = WorkerSettings()
    postprocess: Postprocess = Postprocess()
    video: Video = Video()
    retention: Retention = Retention()
    state_dir: Path = Path("state")
    quarantine_dir: Path = Path("failed")
    hooks: Hooks = Hooks()
    metrics: Metrics = Metrics()
    web: Web = Web()
    log: Log = Log()

    @field_validator("web")
    @classmethod
    def check_web(cls, value: Web, info: ValidationInfo) -> Web:
        """Check that the page and the metrics do not take each other's address."""
        metrics = info.data.get("metrics", Metrics())  # missing if it has faults of its own
        if addresses.collide(metrics.address, value.address):
            raise ValueError(
                f"listen is {value.listen}, where the metrics are (metrics.listen"
                f" {metrics.listen}): choose another port for one of them"
            )
        return value

    @field_validator("models")
    @classmethod
    def check_models(cls, value: dict[str, NamedModel]) -> dict[str, NamedModel]:
        """Accept names that can stand in paths and metrics."""
        return check_names(value)


def find(named: Path | None) -> Path | None:
    """Return the file to use: the named one, else ./config.yaml, else /etc; None means defaults."""
    if named is not None:
        return named
    # Unlike Path.is_file, this is False in a current folder that is closed to us.
    return next((path for path in SEARCHED if os.path.isfile(path)), None)  # noqa: PTH113


def parse(text: str) -> tuple[Any, yaml.Node | None]:  # Any: YAML gives whatever the user wrote
    """Return the content of a file, and its tree, which knows lines and repeated keys.

    `yaml.YAMLError` if it is no YAML.
    """
    if yaml.__with_libyaml__:  # ten times as fast, but its messages differ
        with suppress(yaml.YAMLError):
            return parse_with(yaml.CSafeLoader, text)
    return parse_with(yaml.SafeLoader, text)


def parse_with(
    loader: type[yaml.SafeLoader] | type[yaml.CSafeLoader], text: str
) -> tuple[Any, yaml.Node | None]:  # Any: as above
    """Parse by one of the two parsers. Twice, because loading puts merged keys into the tree."""
    return yaml.load(text, Loader=loader), yaml.compose(text, Loader=loader)


def load(named: Path | None) -> tuple[Config, Path]:
    """Return the configuration and the folder that its relative paths start from.

    `InstallError` has one line for each fault: file, line, key, what to write instead.
    """
    path = find(named)
    if path is None:
        return Config(), Path.cwd()
    try:
        text = path.read_text(encoding="utf-8")
        content, tree = parse(text)
        twice = duplicates(tree)
    except OSError as error:
        hint = ", or make one: `cvunetd init`" if isinstance(error, FileNotFoundError) else ""
        text = f"{path}: cannot be read ({in_words(error)}); check --config{hint}"
        raise InstallError(text) from error
    except (yaml.YAMLError, *NO_VALUE) as error:
        reason = " ".join(str(error).replace('in "<unicode string>", ', "at ").split())
        raise InstallError(f"{path}: is not valid YAML: {reason}") from error
    repeated = [f"{path}:{line}: key {key!r} stands twice" for line, key in twice]
    try:
        config = Config.model_validate({} if content is None else content)
    except ValidationError as error:
        faults = [
            (fault["loc"], fault["type"], fault["msg"], fault["input"]) for fault in error.errors()
        ]
        raise InstallError("\n".join([*repeated, explain(path, tree, faults, Config)])) from error
    if repeated:
        raise InstallError("\n".join(repeated))
    return config, path.resolve().parent
