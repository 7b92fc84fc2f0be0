"""`python -m cvunet.training.evaluation`: scores of weights, beside U2-Net or any folder of alphas.

Each picture goes the way that a user's goes: squeezed to the network's square, alpha brought back
to the picture's own size, by the same kernel for everybody.
"""

import argparse
import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from cvunet.errors import CvunetError, TrainingError
from cvunet.inference import torch_predictor
from cvunet.inference.predictor import Predictor
from cvunet.training import bars, cases, comparison, measuring, probes, samples, worst
from cvunet.training.cases import Case
from cvunet.training.contestants import Contestant, Folder, Ours, U2Net
from cvunet.training.measuring import Measured
from cvunet.training.samples import Sources
from cvunet.training.tables import table

logger = logging.getLogger(__name__)

#: Sets that take long to make, so they are made only where they are asked for.
PROBES: dict[str, Callable[[Sources], Iterable[Case]]] = {
    "filling": cases.filling,
    "sharp": probes.sharp,
    "leaving": probes.leaving,
    "contrast": probes.contrast,
    "distractors": probes.distractors,
}
SETS = ("salient", "people", "composites", *PROBES)


def choose(options: argparse.Namespace) -> list[Case]:
    """The cases of the sets and the half asked for, thinned evenly if ``--every`` says so."""
    sources = samples.open_sources(options.data, "val")
    wanted = options.sets or SETS
    found = [*cases.photos(sources), *cases.laid_over(sources)]
    chosen = [case for case in found if case.set in wanted]
    for name, make in PROBES.items():
        if name in wanted:  # some look through all masks
            chosen += make(sources)
    if options.half is not None:
        chosen = [case for case in chosen if comparison.half_of(case.name) == options.half]
    return chosen[:: options.every]


def enter(options: argparse.Namespace) -> list[Contestant]:
    """All contestants asked for, ours first."""
    contestants: list[Contestant] = [Ours(bars.OURS, open_predictor(options, options.weights))]
    if options.against is not None:
        contestants.append(Ours(bars.AGAINST, open_predictor(options, options.against)))
    if options.u2net is not None:
        contestants.append(U2Net(options.u2net))
    contestants += [Folder(folder) for folder in options.alphas]
    names = [contestant.name for contestant in contestants]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise TrainingError(f"{', '.join(twice)}: asked for twice; rename a folder")
    return contestants


def open_predictor(options: argparse.Namespace, weights: Path) -> Predictor:
    """One of our networks."""
    return torch_predictor.open_predictor(
        weights,
        device=options.device,
        precision="auto",
        input_size=options.size,
        is_mirrored=options.mirror,
    )


def evaluate(options: argparse.Namespace) -> None:
    """Score and print; draw the worst."""
    chosen = choose(options)
    if options.pictures:
        measuring.write_pictures(chosen, options.pictures)
        return
    contestants = enter(options)
    answers = measuring.run(chosen, contestants, options.keep)
    summaries = {name: measuring.summary(measured) for name, measured in answers.items()}
    for name, rows in summaries.items():
        logger.info("%s\n%s\n", name, table(rows))
        logger.info("%s\n", measuring.interval_text(answers[name]))
    seconds = {c.name: c.seconds for c in contestants if c.seconds}
    logger.info("%s", bars.report(summaries, seconds))
    if options.sheet:
        ranked = sorted(answers[bars.OURS], key=lambda each: -each.figures.mae)
        worst.draw(options.sheet, [each.case for each in ranked], contestants)
        logger.info("the ten worst of each set: %s", options.sheet)
    if options.against:
        tell_changes(answers[bars.OURS], answers[bars.AGAINST], contestants, options.worsened)


def tell_changes(
    ours: Sequence[Measured],
    theirs: Sequence[Measured],
    contestants: Sequence[Contestant],
    sheet: Path | None,
) -> None:
    """Say which sets changed, and list and draw the pictures that got worse."""
    logger.info("\n%s", comparison.compare(ours, theirs))
    ranked = comparison.worsened(ours, theirs)
    logger.info("\n%s", comparison.listing(ranked))
    if sheet and ranked:
        worst.draw(sheet, [mine.case for mine, _ in ranked], contestants)
        logger.info("those that got worse, ten of each set: %s", sheet)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Turn the command line into settings."""
    parser = argparse.ArgumentParser(prog="python -m cvunet.training.evaluation")
    parser.add_argument("--data", type=Path, required=True, help="folder of the tar shards")
    parser.add_argument("--weights", type=Path, default=Path("models/cvunet.pth"))
    parser.add_argument("--size", type=int, default=512, help="side of the network's input")
    parser.add_argument("--mirror", action="store_true", help="ours looks twice (model.mirror)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--u2net", type=Path, help="u2net.onnx, to be scored beside ours")
    parser.add_argument("--alphas", type=Path, action="append", default=[], metavar="FOLDER",
                        help="score FOLDER/SET/NAME.png too; may be repeated")  # fmt: skip
    parser.add_argument("--pictures", type=Path, metavar="FOLDER",
                        help="only write the pictures, for another program to cut out")  # fmt: skip
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep all alphas there")
    parser.add_argument("--sheet", type=Path, help="PNG of the ten worst of each set")
    parser.add_argument("--set", dest="sets", action="append", choices=SETS,
                        help="only this set; may be repeated")  # fmt: skip
    parser.add_argument("--against", type=Path, metavar="WEIGHTS",
                        help="other weights: tell what got better or worse")  # fmt: skip
    parser.add_argument("--worsened", type=Path, help="PNG of what got worse, with --against")
    parser.add_argument("--half", choices=("first", "second"),
                        help="mixtures are chosen on one half, reported on the other")  # fmt: skip
    parser.add_argument("--every", type=int, default=1, help="only every n-th picture")
    return parser.parse_args(arguments)


def main() -> int:
    """Exit status: 0 measured, 1 could not."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        evaluate(parse(sys.argv[1:]))
    except CvunetError as error:
        logger.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
