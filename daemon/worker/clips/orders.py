"""From a task to the plan of its clip, and to the key of everything that its segments depend on."""

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cvunet.matte.foreground import WHITE
from daemon import __version__
from daemon.jobs import Identity, Task
from daemon.worker import finishing
from daemon.worker.children.process import processors
from daemon.worker.clips.backgrounds import OpenBackground
from daemon.worker.clips.descriptions import ClipHead
from daemon.worker.clips.plan import Plan
from daemon.worker.lanes import Lane

#: Of one encoder; webm and mp4 have other bytes with another number.
MOST_ENCODER_THREADS = 4
MOST_FINISHERS = 4
#: What the pixels and the bytes of a segment depend on, besides our own program.
LIBRARIES = ("av", "numpy", "opencv-python-headless")


def plan_of(task: Task, lane: Lane, *, segment_frames: int) -> Plan:
    """Return how a clip is cut out."""
    assert task.clip is not None
    video, colour = task.clip.video, task.rendering.background
    if colour is None and task.clip.format == "mp4":
        colour = WHITE  # it has no transparency
    is_mask = task.clip.format == "alpha"
    finish = finishing.clip_settings(task.rendering, is_mask=is_mask)
    cores = processors()
    return Plan(
        max_pixels=task.max_pixels,
        max_minutes=video.max_minutes,
        format=task.clip.format,
        quality=video.quality,
        speed=video.speed,
        encoder_threads=max(1, min(cores // 2, MOST_ENCODER_THREADS)),
        finish=finish,
        window=video.window,
        strength=video.strength,
        preparation=lane.preparation,
        colour=None if is_mask or isinstance(colour, Path) else colour,
        keeps_damaged=video.on_damage == "keep",
        finish_threads=max(1, min(cores, MOST_FINISHERS)),
        segment_frames=segment_frames,
    )


def key_of(
    task: Task,
    lane: Lane,
    plan: Plan,
    identity: Identity,
    *,
    background: OpenBackground | None = None,
) -> str:
    """Return the SHA-256 of everything that the segments' bytes depend on."""
    # The first changes whether a clip is made, the second how fast.
    plain = plan.as_json() | {"max_minutes": 0, "finish_threads": 0}
    everything = {
        "plan": plain,
        "settings": lane.finishing.settings(task.rendering),
        "weights": lane.finishing.weights,
        "model": task.model,
        "program": __version__,
        "libraries": {name: version_of(name) for name in LIBRARIES},
        "original": identity.stamp,
    }
    if background is not None:
        everything["background"] = background.stamp
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()


def version_of(library: str) -> str:
    """Return the version that is installed."""
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def background_file(task: Task) -> Path | None:
    """Return the file that the subject is put on; None for a colour, for none, and for a mask."""
    background = task.rendering.background
    is_mask = task.clip is not None and task.clip.format == "alpha"
    return background if isinstance(background, Path) and not is_mask else None


def background_clip(task: Task, lane: Lane) -> Path | None:
    """Return the clip that the subject is put on; None if it is put on none."""
    background = background_file(task)
    return background if background in lane.finishing.backgrounds.clips else None


def backdrop_of(task: Task, lane: Lane, head: ClipHead) -> NDArray[np.uint8] | None:
    """Return the picture HxWx3 that the subject is put on; None if it is put on none."""
    background = background_file(task)
    if background is None or background in lane.finishing.backgrounds.clips:
        return None
    frame = np.empty((head.height, head.width, 0), np.uint8)
    return lane.finishing.backgrounds.fit(background, frame, aspect=head.pixel_aspect)
