"""One training run in one YAML file: everything that decides what comes out."""

from dataclasses import asdict, dataclass, field
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
    rate_start: float = 0.0
    rate_end: float = 0.0
    """Both are left out if the recipe has one ``cosine`` for all phases."""
    mixture: Mixture | None = None
    """Of this phase; `None`: the recipe's."""
    is_trunk_only: bool = False
    """The trunk learns alone, and ``size`` is what it sees; the refinement waits."""
    sizes: tuple[int, ...] = ()
    """The side of each batch is drawn from these; empty: it is always ``size``."""


@dataclass(frozen=True, slots=True)
class Cosine:
    """One half cosine over all steps of all phases."""

    rate_start: float
    rate_end: float


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
    """That hair grows from the head of a composite's person."""
    blurs: float = 0.0
    """That a composite's foreground is made no sharper than its background."""
    swap: float = 0.0
    """That a photo with a hard mask gets another background behind its subject."""
    leaves: float = 0.0
    """That a window is cut whose edge runs through the subject, instead of ``crop`` and ``zoom``;
    that a composite's foreground leaves the frame."""
    lowers: float = 0.0
    """That a new background takes the colours of the subject's outline."""
    negatives: float = 0.0
    """That something else is beside the subject and stays background: letters, a poster, a statue,
    a blurred second object."""
    hide: float = 0.0
    """That a face, or a spot of the subject, is hidden by a mosaic, a blur or one colour."""
    sharp: bool = False
    """The first sample of each batch is made from the shards of sharp pictures."""


@dataclass(frozen=True, slots=True)
class Start:
    """A weights file of the same network, or of its trunk."""

    file: str
    sha256: str
    is_partial: bool = False
    """The recipe's network is larger: weights that fit by name and shape are loaded, and the
    encoder's norms are calibrated on training photos."""


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
    optimiser: str = "adamw"
    """Or "muon"."""
    cosine: Cosine | None = None
    """`None`: each phase has a half cosine of its own."""
    refine_rate_ratio: float = 1.0
    """The refinement's learning rate over the rest's: with one cosine it starts at a low rate."""
    clip: float = 1.0
    """Largest norm of a step's gradients."""

    @property
    def total_steps(self) -> int:
        """Optimiser steps in the whole run."""
        return sum(phase.steps for phase in self.phases)

    def samples_at(self, step: int) -> int:
        """Pictures that the run has seen after ``step`` steps."""
        total, left = 0, step
        for phase in self.phases:
            done = min(left, phase.steps)
            total, left = total + done * phase.batch, left - done
        return total


def load(path: Path) -> Recipe:
    """Read a recipe; `DocumentError` names any unknown or missing key."""
    return from_fields(yaml_files.read(path), str(path))


def to_fields(recipe: Recipe) -> dict[str, Any]:  # Any: the recipe's own values
    """The recipe as plain values, as they travel inside a checkpoint."""
    return asdict(recipe)


def from_fields(fields: dict[str, Any], where: str) -> Recipe:  # Any: a document's values
    """A recipe from plain values of a file or checkpoint; errors as in `load`."""
    content = dict(fields)
    network = dict(content.get("network", {}))
    if "decoder_channels" in network:
        network["decoder_channels"] = tuple(network["decoder_channels"])
    content["network"] = yaml_files.build(NetworkConfig, network, f"{where}: network")
    content["mixture"] = yaml_files.build(Mixture, content.get("mixture", {}), f"{where}: mixture")
    content["augmentation"] = yaml_files.build(
        Augmentation, content.get("augmentation", {}), f"{where}: augmentation"
    )
    start, cosine = content.get("start"), content.get("cosine")
    content["start"] = start and yaml_files.build(Start, start, f"{where}: start")
    content["cosine"] = cosine and yaml_files.build(Cosine, cosine, f"{where}: cosine")
    content["phases"] = tuple(
        build_phase(phase, f"{where}: phases") for phase in content.get("phases", [])
    )
    return yaml_files.build(Recipe, content, where)


def build_phase(content: dict[str, Any], where: str) -> Phase:  # Any: a document's values
    """One phase, with its own mixture if it has one."""
    mixture = content.get("mixture")
    own = mixture and yaml_files.build(Mixture, mixture, f"{where}: mixture")
    sizes = tuple(content.get("sizes", ()))
    return yaml_files.build(Phase, {**content, "mixture": own, "sizes": sizes}, where)
