"""Everything that is random in a batch, as tensors of parameters.

Each part says by ``places`` which samples of the batch it is about; other fields have one entry for
each of these. Lengths are in px of the square, colours and shares in [0, 1].
"""

from dataclasses import dataclass

from torch import Tensor

from cvunet.training.gpu.views import Views


@dataclass(frozen=True, slots=True)
class Light:
    """Brightness, contrast, gamma and white balance: `training.augment.light`."""

    places: Tensor
    gamma: Tensor
    gain: Tensor
    offset: Tensor
    balance: Tensor
    """Nx3."""


@dataclass(frozen=True, slots=True)
class Wear:
    """What cameras and the web do to a picture: `training.augment.wear`."""

    light: Light
    saturated: Tensor
    saturation: Tensor
    blurred: Tensor
    deviation: Tensor
    moved: Tensor
    kernel: Tensor
    """Nx7x7: the way that the camera moved."""
    dusky: Tensor
    exposure: Tensor
    noisy: Tensor
    """Samples with noise, those at dusk first."""
    noise: Tensor
    """Its standard deviation."""
    noise_corner: Tensor
    """Nx2: row and column in the bank of noise."""
    compressed: Tensor
    quality: Tensor
    """1 to 100, as in JPEG."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """A box on the subject: `hiding.hide`."""

    places: Tensor
    box: Tensor
    """Nx4: top, left, height, width in px of the picture's largest level."""
    cell: Tensor
    """Side of the mosaic's squares in the same px; 0: no mosaic."""
    level: Tensor
    """N int64: what is seen in the box is this coarse."""
    colour: Tensor
    """Nx3; negative: mosaic or blur."""


@dataclass(frozen=True, slots=True)
class Low:
    """Background and subject made alike: `training.contrast.lower`."""

    places: Tensor
    dark: Tensor
    """How bright the outline becomes if that is darker; 2: stays."""
    bright: Tensor
    """How bright it becomes if that is brighter; -1: stays."""
    is_near: Tensor
    """bool: the ground takes the colours of the nearest part of the outline, not their mean."""
    spread: Tensor
    sign: Tensor
    """1: brighter background, -1: darker, where the subject allows both."""
    offset: Tensor
    tint: Tensor
    """Nx3."""


@dataclass(frozen=True, slots=True)
class Shadow:
    """Of some cut-outs: `composites.shadow`."""

    places: Tensor
    shift: Tensor
    """Nx2: x and y."""
    softness: Tensor
    """Standard deviation of its blur."""
    darkness: Tensor


@dataclass(frozen=True, slots=True)
class Layer:
    """Cut-outs laid over the ground of composites: `composites.compose`."""

    places: Tensor
    """Among the composites."""
    views: Views
    hidden: Hidden
    """Its places are those in this layer, as are the next parts'."""
    matched: Tensor
    """N: how far the brightness goes to the ground's."""
    low: Low
    blurred: Tensor
    deviation: Tensor
    shadow: Shadow


@dataclass(frozen=True, slots=True)
class Negatives:
    """Things like subjects that stay background: `cvunet.training.negatives`."""

    places: Tensor
    views: Views
    stony: Tensor
    """Which of these are statues."""
    tone: Tensor
    stone: Tensor
    """Nx3 of the statues: colour."""
    softened: Tensor
    deviation: Tensor
    opacity: Tensor
    """N."""
    rim: Tensor
    """N: width of a poster's frame in px of the picture; 0: none."""
    rim_colour: Tensor
    """Nx3."""


@dataclass(frozen=True, slots=True)
class Swap:
    """Photos whose subject gets another background: `composites.change_ground`."""

    places: Tensor
    scenes: Views
    light: Light
    matched: Tensor
    low: Low


@dataclass(frozen=True, slots=True)
class Studio:
    """Plain backdrops: `composites.studio`."""

    places: Tensor
    colour: Tensor
    """Nx3."""
    slope: Tensor
    """Nx2: across rows and columns."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A batch of B samples of ``size`` px."""

    size: int
    base: Views
    """B: the photo, or what a composite lies on."""
    grounds: Tensor
    """Samples whose base is no photo of a subject."""
    ground_light: Light
    studio: Studio
    hidden: Hidden
    swap: Swap
    beside: Negatives
    """In photos."""
    behind: Negatives
    """In composites and empty pictures."""
    composites: Tensor
    """Samples with cut-outs; the layers' places are places among these."""
    layers: tuple[Layer, Layer]
    """The first has one for each composite, in order."""
    is_soft: Tensor
    """B bool."""
    wear: Wear
