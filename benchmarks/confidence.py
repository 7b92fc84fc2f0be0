"""`python -m benchmarks.confidence --data FOLDER`: does the score find the wrong masks?

It uses validation photos and composites with true masks, as `make evaluate` does. A mask counts as
wrong if it shares less than 80 % with the truth (IoU at alpha 0.5).
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.inference import torch_predictor
from cvunet.matte import confidence, postprocess
from cvunet.training import cases, samples

WRONG_IOU = 0.8
SIZE = 512
Floats = NDArray[np.float64]


def measure(chosen: list[cases.Case], weights: Path) -> tuple[Floats, Floats]:
    """IoU and score of every case."""
    predictor = torch_predictor.open_predictor(
        weights, device="auto", precision="auto", input_size=SIZE
    )
    rows = []
    for case in chosen:
        rgb, mask = case.load()
        [alpha] = predictor.predict([postprocess.shrink(rgb, width=SIZE, height=SIZE)])
        truth = cv2.resize(mask, (SIZE, SIZE), interpolation=cv2.INTER_AREA) >= 128
        found = alpha >= 0.5
        overlap = (found & truth).sum() / max(1, (found | truth).sum())
        rows.append((overlap, confidence.judge(alpha).score))
    overlaps, scores = np.array(rows).T
    return overlaps, scores


def area_under_curve(scores: Floats, is_wrong: NDArray[np.bool_]) -> float:
    """How often a wrong mask has less than a right one: 0.5 is chance (Mann and Whitney 1947)."""
    wrong, right = scores[is_wrong][:, None], scores[~is_wrong]
    return float(((wrong < right) + 0.5 * (wrong == right)).mean())


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.confidence", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=Path("models/cvunet.pth"))
    parser.add_argument("--photos", type=int, default=240)
    parser.add_argument("--composites", type=int, default=80)
    options = parser.parse_args()
    sources = samples.open_sources(options.data, "val")
    photos = cases.photos(sources)
    order = np.random.default_rng(0).permutation(len(photos))[: options.photos]
    chosen = [*(photos[i] for i in order), *cases.laid_over(sources, options.composites)]
    overlaps, scores = measure(chosen, options.weights)
    is_wrong = overlaps < WRONG_IOU
    print(f"{len(chosen)} pictures, {is_wrong.sum()} masks are wrong (IoU < {WRONG_IOU})")
    print(f"area under the curve   {area_under_curve(scores, is_wrong):.2f}")
    print("below   shown   of the wrong found   wrong among shown   IoU shown   IoU rest")
    for below in (0.3, 0.5, 0.7, 0.8):
        is_shown = scores < below
        found = (is_shown & is_wrong).sum()
        print(
            f"{below:5.1f}{is_shown.mean():8.0%}{found / max(1, is_wrong.sum()):21.0%}"
            f"{found / max(1, is_shown.sum()):20.0%}"
            f"{overlaps[is_shown].mean():12.2f}{overlaps[~is_shown].mean():11.2f}"
        )


if __name__ == "__main__":
    main()
