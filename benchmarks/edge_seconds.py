"""What the steps after the network cost for a photo of 24 megapixels."""

import statistics
import time
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from benchmarks import mattes
from cvunet.errors import CvunetError
from cvunet.inference import matting
from cvunet.inference.matting import FinishSettings
from cvunet.matte import foreground, multilevel, postprocess, pymatting_library
from cvunet.matte.soft_band import soft_band

INPUT_PX = 512
LARGE = (4000, 6000)  # rows and columns
RUNS = 5


def seconds_table() -> str:
    """CPU seconds of each step for 24 megapixels on one core: median and best of some runs."""
    cv2.setNumThreads(1)
    height, width = LARGE
    sample = next(mattes.procedural(1, INPUT_PX))
    rows, columns = np.mgrid[:INPUT_PX, :INPUT_PX].astype(np.float32) - INPUT_PX / 2
    waves = 12 * np.sin(9 * np.arctan2(rows, columns))
    small = np.clip(0.5 - (np.hypot(rows, columns) - 160 - waves) / 5, 0, 1).astype(np.float32)
    rgb = cv2.resize(sample.rgb, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    large = postprocess.enlarge(small, rgb, kernel="guided")
    band = float(soft_band(large).mean())
    steps: dict[str, Callable[[], object]] = {
        f"kernel {name}": partial(postprocess.enlarge, small, rgb, kernel=name)
        for name in ("bilinear", "cubic", "guided")
    }
    for name in ("bilateral", "joint", "guided"):
        for diameter in (5, 9):
            settings = FinishSettings(filter=name, diameter=diameter)
            steps[f"filter {name}, diameter {diameter}"] = partial(
                matting.filter_edges, large, rgb, settings=settings
            )
    steps["colours fast"] = partial(foreground.estimate, rgb, large)
    if has_refine():
        steps["colours refine"] = partial(multilevel.estimate, rgb, large)
    head = f"24 megapixels, with {band:.1%} of them in the soft band. CPU seconds of one thread:"
    lines = [head, ""]
    lines += ["| step | median | best |", "|---|---|---|"]
    for name, step in steps.items():
        times = [spent(step) for _ in range(RUNS)]
        lines.append(f"| {name} | {statistics.median(times):.3f} | {min(times):.3f} |")
    return "\n".join(lines)


def spent(step: Callable[[], object]) -> float:
    """CPU seconds: others on the same core do not count."""
    began = time.process_time()
    step()
    return time.process_time() - began


def has_refine() -> bool:
    """pymatting is installed."""
    try:
        pymatting_library.load()
    except CvunetError:
        return False
    return True
