"""`make edges`: the figures of docs/postprocess.md: kernels, filters, colours and seconds.

(a) true mattes, made small to 512x512 and brought back to 1600 px; (b) our network's mattes of
composites at one to four times its input size. Errors are relative to plain bilinear, which is 1.
Less than 1 is better.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from os import sched_getaffinity
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import edge_colours, edge_pictures, mattes
from benchmarks.edge_colours import Task
from benchmarks.edge_seconds import seconds_table
from benchmarks.mattes import Sample
from cvunet import scores
from cvunet.inference import torch_predictor
from cvunet.inference.matting import FinishSettings
from cvunet.matte import guided_filter, postprocess
from cvunet.pictures.reading import Picture
from cvunet.training import samples

Floats = NDArray[np.float32]
Figures = tuple[float, float, float]
Chain = Callable[[Floats, NDArray[np.uint8]], Floats]

DOCUMENT = Path(__file__).parents[1] / "docs" / "postprocess.md"
WEIGHTS = Path(__file__).parents[1] / "models" / "cvunet.pth"
MARKS = ("<!-- make edges writes from here -->\n", "<!-- to here -->\n")
INPUT_PX = 512
TRUE_SIDES = [1600] * 12
NETWORK_SIDES = [INPUT_PX * scale for scale in (1, 2, 3, 4)] * 6
DRAWN = 4
PARAMETERS = (  # of the guided kernel: radius at half the network's size, epsilon, share returned
    (1, 1e-4, 0.0),
    (2, 1e-4, 0.0),
    (2, 1e-4, 0.5),
    (2, 1e-4, 0.9),
    (2, 1e-4, 1.0),
    (1, 1e-4, 0.75),
    (3, 1e-4, 0.75),
    (2, 1e-5, 0.75),
    (2, 1e-3, 0.75),
)


def plain(small: Floats, rgb: NDArray[np.uint8]) -> Floats:
    """Bilinear and nothing else: what all is compared with."""
    return postprocess.upsample(small, width=rgb.shape[1], height=rgb.shape[0], is_cubic=False)


def guided(
    small: Floats, rgb: NDArray[np.uint8], *, radius: int, epsilon: float, residual_share: float
) -> Floats:
    """The guided kernel with parameters of its own, no filter."""
    small = postprocess.remove_haze(small)
    large = guided_filter.upsample(
        small, rgb, radius=radius, epsilon=epsilon, residual_share=residual_share
    )
    return postprocess.remove_haze(large)


def chains() -> dict[str, Chain]:
    """Rows of the table by name."""

    def way(name: str, **changes: object) -> tuple[str, Chain]:
        settings = replace(FinishSettings(filter="none"), **changes)  # type: ignore[arg-type]
        return name, partial(edge_colours.shipped, settings=settings)

    def kernel(radius: int, epsilon: float, residual_share: float) -> tuple[str, Chain]:
        name = f"guided, radius {radius}, epsilon {epsilon:g}, returned {residual_share:g}"
        return name, partial(guided, radius=radius, epsilon=epsilon, residual_share=residual_share)

    strong = {"filter": "bilateral", "diameter": 9, "sigma_color": 0.1, "sigma_space": 3.0}
    gentle = {"filter": "bilateral", "diameter": 5, "sigma_color": 0.05, "sigma_space": 1.5}
    joint = {"filter": "joint", "diameter": 9, "sigma_color": 0.1, "sigma_space": 3.0}
    rows: list[tuple[str, Chain]] = [
        ("bilinear, haze not removed", plain),
        way("bilinear", kernel="bilinear"),
        way("bilinear + bilateral 9, 0.1, 3", kernel="bilinear", **strong),
        way("cubic", kernel="cubic"),
        way("cubic + bilateral 9, 0.1, 3", kernel="cubic", **strong),
        way("cubic + bilateral 5, 0.05, 1.5", kernel="cubic", **gentle),
        way("cubic + joint 9, 0.1, 3", kernel="cubic", **joint),
        way("cubic + full-size guided 9", kernel="cubic", filter="guided", diameter=9),
        *(kernel(*each) for each in PARAMETERS),
        way("guided 2, 1e-4, 0.75"),
        way("guided + bilateral 9, 0.1, 3", **strong),
        way("guided + joint 9, 0.1, 3", **joint),
        way("guided + full-size guided 9", filter="guided", diameter=9),
        ("**shipped default**", partial(edge_colours.shipped, settings=FinishSettings())),
    ]
    return dict(rows)


def measure(task: Task) -> dict[str, Figures]:
    """Gradient error for each megapixel, soft MAD, and the seconds of each chain."""
    cv2.setNumThreads(1)
    figures = {}
    for name, chain in chains().items():
        began = time.process_time()
        alpha = chain(task.small, task.sample.rgb)
        seconds = time.process_time() - began
        truth = task.sample.alpha
        gradient = scores.gradient_error(alpha, truth) / (truth.size / 1e6)
        figures[name] = gradient, scores.soft_band_error(alpha, truth), seconds
    return figures


def true_task(sample: Sample) -> Task:
    """The truth made as small as the network's alpha."""
    small = cv2.resize(sample.alpha, (INPUT_PX, INPUT_PX), interpolation=cv2.INTER_AREA)
    return Task(sample, small.astype(np.float32, copy=False))


def network_task(sample: Sample, predictor: torch_predictor.TorchPredictor) -> Task:
    """The network's answer for a composite."""
    picture = Picture(rgb=sample.rgb, alpha=None, warnings=(), format="composite")
    return Task(sample, predictor.predict([predictor.prepare(picture)])[0])


def table(rows: dict[str, list[list[Figures]]], titles: list[str]) -> str:
    """Markdown: ratios to the first row, of means over all pictures, and mean seconds."""
    lines = [
        "| kernel + filter | "
        + " | ".join(f"{title}: gradient | soft MAD" for title in titles)
        + " | ms |",
        "|---|" + "---|" * (2 * len(titles) + 1),
    ]
    first = next(iter(rows.values()))
    for name, columns in rows.items():
        cells = []
        for column, reference in zip(columns, first, strict=True):
            for index in range(2):
                ratio = mean(column, index) / mean(reference, index)
                cells.append(f"{ratio:.3f}")
        seconds = statistics.mean(figure[2] for column in columns for figure in column)
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {seconds * 1000:.0f} |")
    return "\n".join(lines)


def mean(column: list[Figures], index: int) -> float:
    """Of one figure; a picture without a soft band has none."""
    return float(np.nanmean([figures[index] for figures in column]))


def gather(options: argparse.Namespace) -> dict[str, list[Task]]:
    """The pictures by the table's columns; without shards only those that need none."""
    if not any(options.data.glob("foregrounds-val-*.tar")):
        return {}
    sources = samples.open_sources(options.data, "val")
    predictor = torch_predictor.open_predictor(
        options.weights, device="cpu", precision="auto", input_size=INPUT_PX
    )
    half: mattes.Half = "choose" if options.choose else "report"
    true = mattes.laid_over(sources, TRUE_SIDES, half=half)
    own = mattes.laid_over(sources, NETWORK_SIDES, half=half)
    return {
        "(a) shards": [true_task(sample) for sample in true],
        "(b) network": [network_task(sample, predictor) for sample in own],
    }


def report(columns: dict[str, list[Task]]) -> str:
    """All tables."""
    cores = len(sched_getaffinity(0))
    # Forked processes would inherit torch's threads half alive.
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        measured = {title: list(pool.map(measure, tasks)) for title, tasks in columns.items()}
        colours = {
            title: list(pool.map(edge_colours.measure, tasks)) for title, tasks in columns.items()
        }
    rows = {
        name: [[figures[name] for figures in answers] for answers in measured.values()]
        for name in chains()
    }
    counts = ", ".join(f"{title}: {len(tasks)} pictures" for title, tasks in columns.items())
    parts = [
        table(rows, list(columns)),
        counts + ".",
        edge_colours.table(colours),
        seconds_table(),
    ]
    return "\n\n".join(parts) + "\n"


def write(text: str) -> None:
    """Between the marks of the document."""
    document = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = document.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    DOCUMENT.write_text(before + MARKS[0] + "\n" + text + "\n" + MARKS[1] + after, encoding="utf-8")


def parse() -> argparse.Namespace:
    """Command line to settings."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.edges", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the tar shards")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--choose", action="store_true",
                        help="print the tables of the other half of the shards, which is used to"
                             " choose settings; write nothing")  # fmt: skip
    parser.add_argument("--look", type=Path, metavar="FOLDER",
                        help="only write PNGs of cut-outs on white, black and magenta")  # fmt: skip
    return parser.parse_args()


def main() -> None:
    """Print the tables; with shards, write them and the pictures into docs/."""
    options = parse()
    torch.set_num_threads(1)
    if options.look:
        edge_pictures.look(options.look, options.weights)
        return
    columns = gather(options)
    has_shards = bool(columns)
    drawn = mattes.procedural(DRAWN, TRUE_SIDES[0], begin=DRAWN if options.choose else 0)
    columns["(a) procedural"] = [true_task(each) for each in drawn]
    text = report(columns)
    print(text)
    if options.choose:
        return
    if not has_shards:
        print(f"{options.data} has no foregrounds-val: only procedural mattes, nothing is written.")
        return
    write(text)
    edge_pictures.strips(DOCUMENT.parent, options.weights)
    print(f"written: {DOCUMENT} and its pictures")


if __name__ == "__main__":
    main()
