"""One training run in one YAML file: everything that decides what comes out."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cvunet import yaml_files
from cvunet.network.network import NetworkConfig


@dataclass(frozen=True, slots=True)
class Mixture:
    """Shares of the kinds of samples; need not add up to one."""

    salient: float = 0.6
    people: float = 0.15
    composite: float = 0.23
    empty: float = 0.02


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of training at one picture size, its learning rate falling by a half cosine."""

    size: int
    """Side of the square input, a multiple of 32."""
    steps: int
    batch: int
    rate_start: float
    rate_end: float
    mixture: Mixture | None = None
    """Of this phase; `None`: the recipe's."""
    is_trunk_only: bool = False
    """The trunk learns alone, and ``size`` is what it sees; the refinement waits."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Chances of the changes made to a picture."""

    crop: float = 0.7
    zoom: float = 0.0
    """That a window is cut which the subject fills; besides ``crop``, not on top of it."""
    rotate: float = 0.2
    wear: float = 1.0
    """That light, colour, noise and the like may change at all."""
    strands: float = 0.0
    """That hair grows from a composite's foreground."""
    blurs: float = 0.0
    """That a composite's foreground is made no sharper than its background."""
    swap: float = 0.0
    """That a photo with a hard mask gets another background behind its subject."""


@dataclass(frozen=True, slots=True)
class Start:
    """A weights file of the same network, or of its trunk."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """All settings of a run."""

    name: str
    seed: int
    network: NetworkConfig
    phases: tuple[Phase, ...]
    mixture: Mixture
    augmentation: Augmentation
    start: Start | None
    """Weights to go on from; without them only the encoder starts trained."""
    foreground_weights: dict[str, float]
    """How often a set of foregrounds is drawn, per picture; sets not named are left out."""
    backbone_rate_ratio: float
    """The encoder's learning rate over the rest's."""
    weight_decay: float
    ema_decay: float
    warmup_steps: int
    validate_every: int
    """Steps between two validations, contact sheets and checkpoints."""
    people_weights: dict[str, float] = field(default_factory=dict)
    """How often photos of people of a source are drawn, per picture; 1 for those not named."""

    @property
    def total_samples(self) -> int:
        """Pictures drawn in the whole run."""
        return sum(phase.steps * phase.batch for phase in self.phases)

    @property
    def total_steps(self) -> int:
        """Optimiser steps in the whole run."""
        return sum(phase.steps for phase in self.phases)


def load(path: Path) -> Recipe:
    """Read a recipe; `DocumentError` names any unknown or missing key."""
    content = yaml_files.read(path)
    network = dict(content.get("network", {}))
    if "decoder_channels" in network:
        network["decoder_channels"] = tuple(network["decoder_channels"])
    content["network"] = yaml_files.build(NetworkConfig, network, f"{path}: network")
    content["mixture"] = yaml_files.build(Mixture, content.get("mixture", {}), f"{path}: mixture")
    content["augmentation"] = yaml_files.build(
        Augmentation, content.get("augmentation", {}), f"{path}: augmentation"
    )
    start = content.get("start")
    content["start"] = start and yaml_files.build(Start, start, f"{path}: start")
    content["phases"] = tuple(
        build_phase(phase, f"{path}: phases") for phase in content.get("phases", [])
    )
    return yaml_files.build(Recipe, content, str(path))


def build_phase(content: dict[str, Any], where: str) -> Phase:  # Any: a document's values
    """One phase, with its own mixture if it has one."""
    mixture = content.get("mixture")
    own = mixture and yaml_files.build(Mixture, mixture, f"{where}: mixture")
    return yaml_files.build(Phase, {**content, "mixture": own}, where)
