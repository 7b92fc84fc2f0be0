"""The settings that may change while the daemon runs."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from daemon.jobs import HotFolder

if TYPE_CHECKING:
    from daemon.notices import Subscriptions


def no_hooks() -> "Subscriptions":
    """Return that nobody listens."""
    from daemon.notices import Subscriptions  # `cvunetd doctor` needs none of it

    return Subscriptions()


@dataclass(frozen=True, slots=True)
class Settings:
    """What can change while the daemon runs."""

    folders: list[HotFolder]
    keep_days: float
    sweep_s: float
    min_free_mb: float
    log_level: str
    subscriptions: "Subscriptions" = field(default_factory=no_hooks)
    fixed: tuple[str, ...] = ()
    """Settings that have changed, but need a restart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """One model that is served, by its name."""

    name: str
    file: Path
    devices: tuple[str, ...] = ("auto",)
    runtime: Literal["auto", "torch", "onnxruntime"] = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    input_size: int = 512
    is_mirrored: bool = False
