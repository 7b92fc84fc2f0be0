"""What a clip child is told before it begins: values that go through JSON."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from cvunet.inference.matting import FinishSettings
from cvunet.inference.preparation import Preparation
from cvunet.matte.adjustments import Adjustments
from daemon.renderings import VideoFormat


@dataclass(frozen=True, slots=True)
class Plan:
    """How one clip is cut out."""

    max_pixels: int
    max_minutes: float
    format: VideoFormat
    quality: int
    speed: Literal["fast", "good"]
    encoder_threads: int
    finish: FinishSettings
    window: int
    strength: float
    preparation: Preparation
    """How a frame becomes what the network sees."""
    colour: tuple[int, int, int] | None
    """That the subject is put on; None for transparency, or for a picture that comes later."""
    keeps_damaged: bool
    finish_threads: int
    segment_frames: int
    """Of one segment; another number makes other bytes."""

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        """Return it for `of_json`."""
        return asdict(self)

    @classmethod
    def of_json(cls, content: dict[str, Any]) -> "Plan":  # Any: JSON
        """Return what `as_json` was made of; JSON has no tuples."""
        finish = dict(content["finish"])
        finish["adjustments"] = Adjustments(**finish["adjustments"])
        colour = content["colour"]
        known = {one.name: content[one.name] for one in fields(cls)}
        return cls(
            **known
            | {
                "preparation": Preparation(**content["preparation"]),
                "finish": FinishSettings(**finish),
                "colour": None if colour is None else tuple(colour),
            }
        )
