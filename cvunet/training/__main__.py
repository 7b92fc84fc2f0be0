"""`python -m cvunet.training`: train a recipe."""

import argparse
import dataclasses
import logging
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import torch

from cvunet.errors import CvunetError
from cvunet.network.network import CVUNet
from cvunet.training import backbone, normalise, origin, recipe, restart, samples, validation
from cvunet.training.loop import Stopped, Trainer

DRY_RUN_STEPS = 10
CALIBRATION_PHOTOS = 400


def parse(arguments: list[str]) -> argparse.Namespace:
    """Turn the command line into settings."""
    parser = argparse.ArgumentParser(prog="python -m cvunet.training", description=__doc__)
    parser.add_argument("--recipe", type=Path, default=Path("models/recipes/sixth.yaml"))
    parser.add_argument("--data", type=Path, required=True, help="folder of the tar shards")
    parser.add_argument("--out", type=Path, help="folder of the run (default runs/NAME)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--loaders", type=int, default=1, help="processes that make samples")
    parser.add_argument(
        "--resume-average",
        type=Path,
        metavar="FILE",
        help="averaged weights of this run, to go on from where its checkpoint is lost",
    )
    parser.add_argument("--dry-run", action="store_true", help="ten steps, to see that it works")
    return parser.parse_args(arguments)


def shorten(full: recipe.Recipe) -> recipe.Recipe:
    """Return the recipe with ten steps, some of every phase, and one validation at their end."""
    steps = max(1, DRY_RUN_STEPS // len(full.phases))
    phases = tuple(dataclasses.replace(phase, steps=steps, batch=4) for phase in full.phases)
    return dataclasses.replace(
        full, name=f"{full.name}-dry", phases=phases, validate_every=DRY_RUN_STEPS
    )


def start(chosen: recipe.Recipe, data: Path) -> CVUNet:
    """The network before its first step."""
    model = CVUNet(chosen.network)
    if chosen.start is None:
        backbone.load(model.encoder, data / backbone.FILE)
    elif chosen.start.is_partial:
        grow(model, chosen.start, data)
    else:
        backbone.take_over(model, Path(chosen.start.file), sha256=chosen.start.sha256)
    return model


def grow(model: CVUNet, begin: recipe.Start, data: Path) -> None:
    """Load weights that fit into a larger network; calibrate its norms on training photos."""
    rest = backbone.take_what_fits(model, Path(begin.file), sha256=begin.sha256)
    logging.getLogger(__name__).info("%s tensors start untrained", len(rest))
    backbone.load_expansion(model.encoder, data / backbone.FILE)
    sources = samples.open_sources(data, "train")
    normalise.calibrate(model.encoder, validation.images(sources, CALIBRATION_PHOTOS))


def asked_to_stop() -> Callable[[], bool]:
    """A function that tells whether SIGTERM or SIGINT has come since this call."""
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    return asked.is_set


def train(options: argparse.Namespace) -> None:
    """Run the recipe to its end."""
    chosen = recipe.load(options.recipe)
    if options.dry_run:
        chosen = shorten(chosen)
    torch.manual_seed(chosen.seed)
    torch.backends.cudnn.benchmark = True  # a phase has one size; CUDA alone knows this setting
    # With an average, what the recipe starts from is not needed.
    average: Path | None = options.resume_average
    model = start(chosen, options.data) if average is None else CVUNet(chosen.network)
    trainer = Trainer(
        chosen,
        model,
        sources=samples.open_sources(options.data, "train"),
        validation_sources=samples.open_sources(options.data, "val"),
        folder=options.out or Path("runs") / chosen.name,
        origin=origin.find(options.data),
        device=torch.device(options.device),
        loaders=options.loaders,
    )
    if average is not None:
        restart.from_average(trainer, average)
    trainer.run(is_stopped=asked_to_stop())


def main() -> int:
    """Exit status: 0 trained or stopped by a signal, 1 could not."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        train(parse(sys.argv[1:]))
    except Stopped:
        return 0
    except CvunetError as error:
        logging.getLogger(__name__).error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
