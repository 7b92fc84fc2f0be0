"""What parts of the daemon tell each other about clips: values."""

from dataclasses import dataclass

from daemon.renderings import Video, VideoFormat


@dataclass(frozen=True, slots=True)
class ClipTask:
    """What the worker knows of a clip, besides."""

    kind: str
    format: VideoFormat
    video: Video


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """What the manifest says about a clip besides."""

    kind: str
    format: VideoFormat
    frames: int
    """Of the result."""
    duration_s: float
    has_sound: bool
    """Of the result."""
    segments: int
    kept_segments: int = 0
    """Those that an earlier attempt had finished."""


@dataclass(frozen=True, slots=True)
class ClipProgress:
    """How far the worker has come with a clip."""

    frames: int
    """Those that are encoded, of earlier attempts too."""
    total: int | None
    """None if its header does not say it."""
    frames_per_s: float
    left_s: float | None
    has_made_segment: bool = False
    """Since this attempt began."""
