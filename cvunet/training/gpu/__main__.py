"""`python -m cvunet.training.gpu`: train a recipe for some minutes, all on one device."""

import argparse
import logging
import signal
import sys
import time
from pathlib import Path

import torch

from cvunet.errors import CvunetError, TrainingError
from cvunet.network.network import CVUNet
from cvunet.training import recipe as recipes
from cvunet.training import samples
from cvunet.training.gpu import roster, staging, starts
from cvunet.training.gpu.batches import Sampler
from cvunet.training.gpu.budget import Budget
from cvunet.training.gpu.learning import Learner
from cvunet.training.gpu.planner import Planner
from cvunet.training.gpu.running import Run

logger = logging.getLogger(__name__)

SAMPLE_BYTES_PER_PIXEL = 1500
"""Memory that a step takes per pixel of its batch; counted in docs/decisions/gpu-training.md."""
ENDING_S = 6.0
"""For the last files."""


def parse(arguments: list[str]) -> argparse.Namespace:
    """Turn the command line into settings."""
    parser = argparse.ArgumentParser(prog="python -m cvunet.training.gpu", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the tar shards")
    parser.add_argument("--out", type=Path, default=Path("runs/minutes"), help="folder of the run")
    parser.add_argument("--minutes", type=float, default=8.5, help="for all, from start to end")
    parser.add_argument("--recipe", type=Path, default=Path("models/recipes/minutes.yaml"))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--start", default="", help='weights file, or "backbone" (default: as the recipe says)'
    )
    parser.add_argument("--resume", type=Path, help="folder of an earlier run to go on from")
    parser.add_argument("--rate", type=float, help="highest rate (default: the recipe's)")
    parser.add_argument("--batch", type=int, help="pictures in a step of the first phase")
    parser.add_argument("--size", type=int, help="side of all samples, a multiple of 32")
    parser.add_argument(
        "--compile",
        action="store_true",
        help="compile the step; each picture size costs a minute or more before it is faster",
    )
    parser.add_argument("--letterings", type=int, default=256, help="pictures of letters to make")
    parser.add_argument("--anyway", action="store_true", help="train without the missing shards")
    return parser.parse_args(arguments)


class Signals:
    """SIGTERM and SIGINT: exit 0 at once while nothing is trained yet, then when the loop asks."""

    def __init__(self) -> None:
        self.is_training = False
        self.is_asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle)

    def handle(self, *_: object) -> None:
        """A signal has come."""
        self.is_asked = True
        if not self.is_training:
            raise SystemExit(0)


def check(options: argparse.Namespace, recipe: recipes.Recipe) -> torch.device:
    """Everything that can be missing, before anything is decoded; `TrainingError` names it."""
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise TrainingError("torch sees no CUDA device here; --device cpu runs the same, slower")
    if not options.anyway:
        staging.check(options.data)
    if options.resume:
        for name in (starts.STATE, "average.pth"):
            if not (options.resume / name).is_file():
                raise TrainingError(f"{options.resume / name}: not there, so nothing can go on")
    else:
        starts.check(options.start, recipe, options.data)
    return device


def reserve_bytes(recipe: recipes.Recipe, batch: int | None, size: int | None) -> int:
    """Memory that the largest step takes."""
    scale = 1.0 if batch is None else batch / recipe.phases[0].batch
    pixels = max((size or max(p.sizes or (p.size,))) ** 2 * p.batch for p in recipe.phases)
    return int(pixels * scale * SAMPLE_BYTES_PER_PIXEL)


def load(
    options: argparse.Namespace, recipe: recipes.Recipe, device: torch.device
) -> tuple[roster.Roster, roster.Roster, Learner]:
    """All pictures and the sharp ones on the device, and the network before its first step."""
    sources = samples.open_sources(options.data, "train")
    rosters = roster.assemble(
        sources,
        recipe,
        device=device,
        letterings=options.letterings,
        reserve_bytes=reserve_bytes(recipe, options.batch, options.size),
    )
    if options.resume:
        model = CVUNet(recipe.network)
    else:
        model = starts.network(
            options.start, recipe, data=options.data, sources=sources, device=device
        )
    compiler = "inductor" if options.compile else None
    return *rosters, Learner(model, recipe, device, compiler=compiler)


def train(options: argparse.Namespace, *, began_s: float, signals: Signals) -> None:
    """Run the recipe until the minutes since ``began_s`` are over."""
    recipe = recipes.load(options.recipe)
    device = check(options, recipe)
    torch.manual_seed(recipe.seed)
    torch.backends.cudnn.benchmark = True
    every, sharp, learner = load(options, recipe, device)
    number, share = starts.resume(learner, options.resume) if options.resume else (0, 0.0)
    budget = Budget(
        recipe,
        deadline_s=began_s + options.minutes * 60 - ENDING_S,
        first_share=share,
        peak_rate=options.rate,
        batch=options.batch,
        size=options.size,
    )
    passed_s, count = time.monotonic() - began_s, len(every.gallery.sizes)
    logger.info("training begins after %.1f s, on %s pictures", passed_s, count)
    if budget.share >= 1:
        raise TrainingError(f"{options.minutes} minutes were over before training: take more")
    signals.is_training = True
    Run(
        learner=learner,
        planner=Planner(recipe, every, sharp),
        sampler=Sampler(every.gallery, seed=recipe.seed),
        budget=budget,
        folder=options.out,
        number=number,
        is_stopped=lambda: signals.is_asked,
    ).go()


def main() -> int:
    """Exit status: 0 trained or stopped by a signal, 1 could not."""
    began_s = time.monotonic()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        train(parse(sys.argv[1:]), began_s=began_s, signals=Signals())
    except CvunetError as error:
        logger.error("%s", error)
        return 1
    except torch.OutOfMemoryError as error:
        logger.error("the device's memory is too small: a smaller --batch may fit (%s)", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
