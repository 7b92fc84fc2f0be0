"""`config.yaml`: every setting with its default, checked whole before anything starts."""

import re
from datetime import date
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from daemon.configfaults import duplicates, explain
from daemon.errors import InstallError
from daemon.presets import Preset

SEARCHED = (Path("config.yaml"), Path("/etc/cvunetd/config.yaml"))
DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")
COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
ASPECT = re.compile(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)")
NAME_FIELDS = ("stem", "ext", "folder", "subfolder", "date", "id")

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Canvas = Literal["none"] | tuple[int, int]
SIDES_PX = range(16, 10_001)  # of a canvas
Mode = Literal["none", "subject"]
Align = Literal[
    "center",
    "top",
    "bottom",
    "left",
    "right",
    "top-left",
    "top-right",
    "bottom-left",
    "bottom-right",
]


class Section(BaseModel):
    """A part of the file: frozen, strict about keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CropOverrides(Section):
    """``output.crop:`` of one folder; what is left out comes from the common section."""

    mode: Mode | None = None
    threshold: Annotated[int, Field(ge=1, le=255)] | None = None
    margin: Annotated[float, Field(ge=0, le=0.45)] | None = None
    aspect: str | None = None
    canvas: Canvas | None = None
    align: Align | None = None
    enlarge: bool | None = None

    @field_validator("canvas", mode="before")
    @classmethod
    def check_canvas(cls, value: object) -> object:
        """One side of a square, or width and height."""
        if value is None or value == "none":
            return value
        sides = value if isinstance(value, list | tuple) else [value, value]
        if len(sides) != 2 or not all(type(side) is int and side in SIDES_PX for side in sides):
            raise ValueError(
                "a canvas is the side of a square in pixels (16 to 10000), [width, height], or none"
            )
        return tuple(sides)

    @field_validator("aspect", mode="before")
    @classmethod
    def check_aspect(cls, value: object) -> object:
        """Width to height, or none."""
        if isinstance(value, int | float):
            raise ValueError('write it in quotes, "4:5": YAML reads it as a number of seconds else')
        if not isinstance(value, str) or value == "none":
            return value
        match = ASPECT.fullmatch(value)
        if match is None or not 0.01 <= float(match[1]) / (float(match[2]) or 1e9) <= 100:
            raise ValueError('an aspect is width to height, such as "4:5", or none')
        return value


class Crop(CropOverrides):
    """Which part of the picture the result shows, and how large."""

    mode: Mode = "none"
    threshold: Annotated[int, Field(ge=1, le=255)] = 10
    margin: Annotated[float, Field(ge=0, le=0.45)] = 0.0
    aspect: str = "none"
    canvas: Canvas = "none"
    align: Align = "center"
    enlarge: bool = True


class ReviewOverrides(Section):
    """``output.review:`` of one folder."""

    below: Share | None = None


class Review(ReviewOverrides):
    """Which results a person should look at."""

    below: Share = 0.5


class OutputOverrides(Section):
    """``output:`` of one folder; what is left out comes from the common section."""

    root: Path | None = None
    drop_idle_s: Positive | None = None
    drop_max_files: Count | None = None
    format: Literal["png", "webp", "avif", "tiff", "jpeg"] | None = None
    content: Literal["cutout", "alpha", "both"] | None = None
    preset: Preset | None = None
    background: str | None = None
    crop: CropOverrides = CropOverrides()
    name: str | None = None
    clash: Literal["version", "overwrite", "fail"] | None = None
    review: ReviewOverrides = ReviewOverrides()

    @field_validator("background")
    @classmethod
    def check_background(cls, value: str | None) -> str | None:
        """A colour as six hex digits, or a picture's file."""
        if value is None or COLOUR.fullmatch(value):
            return value
        # A picture's file has an ending; a colour by name, or without its #, has none.
        if value.startswith("#") or "." not in value or not value.isprintable():
            raise ValueError(
                'write a colour as "#rrggbb", the path of a picture, or null for transparency'
            )
        return value

    @field_validator("name")
    @classmethod
    def check_name(cls, value: str | None) -> str | None:
        """A template of known fields that stays inside the drop."""
        if value is None:
            return value
        try:
            used = {field for _, field, _, _ in Formatter().parse(value) if field is not None}
            if not used <= set(NAME_FIELDS):  # also {ext[0]}: fails where there is no ending
                raise ValueError(f"unknown fields {used}")
            samples = dict.fromkeys(NAME_FIELDS, "x") | {"date": date(2000, 12, 31)}
            sample = value.format(**samples)
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            fields = " ".join(f"{{{name}}}" for name in NAME_FIELDS)
            raise ValueError(f"a name is made of text and these fields: {fields}") from error
        if "/" in sample or "\0" in sample or sample.startswith(".") or not sample.strip():
            raise ValueError("a name has no slash, does not begin with a dot and is not empty")
        return value


class Output(OutputOverrides):
    """Where results go and what they look like."""

    root: Path = Path("outputs")
    drop_idle_s: Positive = 30.0
    drop_max_files: Count = 1000
    format: Literal["png", "webp", "avif", "tiff", "jpeg"] = "png"
    content: Literal["cutout", "alpha", "both"] = "cutout"
    preset: Preset = "none"
    crop: Crop = Crop()
    name: str = "{stem}"
    clash: Literal["version", "overwrite", "fail"] = "version"
    review: Review = Review()


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
    output: OutputOverrides = OutputOverrides()

    @field_validator("name")
    @classmethod
    def check_name(cls, value: str | None) -> str | None:
        """A name that may be that of a folder: rejected pictures go to one."""
        if value is not None and ("/" in value or value.startswith(".") or not value.isprintable()):
            raise ValueError("a folder's name has no slash and does not begin with a dot")
        return value


class Model(Section):
    """The network and what it runs on."""

    weights: Path = Path("models/cvunet.pth")
    device: str | list[str] = "auto"
    input_size: Annotated[int, Field(ge=64, le=2048, multiple_of=32)] = 512
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices as a list, also where the file names one."""
        return (self.device,) if isinstance(self.device, str) else tuple(self.device)

    @field_validator("device", mode="before")
    @classmethod
    def check_device(cls, value: object) -> object:
        """Names that torch will understand; anything else is told before types are tried."""
        names = value if isinstance(value, list) else [value]
        if not names or not all(isinstance(name, str) and DEVICE.fullmatch(name) for name in names):
            raise ValueError("a device is auto, cpu, cuda, cuda:0 or a list of such")
        return value


class WorkerSettings(Section):
    """The pipeline's bounds."""

    engine: Literal["local"] = "local"
    max_batch: Annotated[int, Field(ge=1, le=256)] = 8
    max_wait_ms: NotNegative = 20.0
    queue_size: Count = 64
    max_megapixels: Positive = 100.0


class Postprocess(Section):
    """What is done to the alpha at the picture's own size."""

    filter: Literal["bilateral", "guided", "none"] = "bilateral"
    diameter: Annotated[int, Field(ge=1, le=51)] = 9
    sigma_color: Positive = 0.1
    sigma_space: Positive = 3.0
    decontaminate: bool = True


class Retention(Section):
    """What is deleted when, and when the disk counts as full."""

    keep_days: Annotated[float, Field(gt=0, le=100_000)] = 7.0  # more than dates can hold
    sweep_s: Positive = 3600.0
    min_free_mb: NotNegative = 512.0


class Log(Section):
    """How much is said."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(Section):
    """The whole file."""

    folders: Annotated[list[Folder], Field(min_length=1)] = [Folder(path=Path("hot"), name="hot")]
    output: Output = Output()
    model: Model = Model()
    worker: WorkerSettings = WorkerSettings()
    postprocess: Postprocess = Postprocess()
    retention: Retention = Retention()
    state_dir: Path = Path("state")
    quarantine_dir: Path = Path("failed")
    log: Log = Log()


def find(named: Path | None) -> Path | None:
    """The file that counts: the named one, else ./config.yaml, else /etc; None means defaults."""
    if named is not None:
        return named
    return next((path for path in SEARCHED if path.is_file()), None)


def load(named: Path | None) -> tuple[Config, Path]:
    """The configuration and the folder that its relative paths start from.

    `InstallError` has one line for each fault: file, line, key, what to write instead.
    """
    path = find(named)
    if path is None:
        return Config(), Path.cwd()
    try:
        text = path.read_text(encoding="utf-8")
        content: Any = yaml.safe_load(text)  # Any: YAML gives whatever the user wrote
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as error:
        raise InstallError(f"{path}: cannot be read ({error.strerror}); check --config") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise InstallError(f"{path}: is not valid YAML: {reason}") from error
    twins = [f"{path}:{line}: key {key!r} stands twice" for line, key in duplicates(tree)]
    if twins:
        raise InstallError("\n".join(twins))
    try:
        config = Config.model_validate({} if content is None else content)
    except ValidationError as error:
        faults = [(fault["loc"], fault["type"], fault["msg"]) for fault in error.errors()]
        raise InstallError(explain(path, tree, faults, Config)) from error
    return config, path.resolve().parent
