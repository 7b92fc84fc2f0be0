"""The figures of clips: how many are in work in each folder, and how fast they get on."""

from collections.abc import Iterator

from daemon.reporting.cluster_figures import Figure
from daemon.reporting.report import Snapshot


def figures(snapshot: Snapshot) -> Iterator[Figure]:
    """Yield all figures, with each folder also if it has no clip."""
    counts = dict.fromkeys(snapshot.folders, 0.0)
    rates = counts.copy()
    for one in snapshot.clips.values():
        counts[one.folder] = counts.get(one.folder, 0.0) + 1
        rates[one.folder] = rates.get(one.folder, 0.0) + one.frames_per_s
    text = "Frames of clips that are encoded a second."
    for name, about, numbers in (
        ("clips", "Clips in work.", counts),
        ("clip_frames_per_second", text, rates),
    ):
        values = tuple(((folder,), number) for folder, number in numbers.items())
        yield Figure(name, about, ("folder",), values)
