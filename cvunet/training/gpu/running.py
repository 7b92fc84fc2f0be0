"""The loop: batches and steps until the time is up, files every minute."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import torch

from cvunet.errors import TrainingError
from cvunet.training import checkpoints
from cvunet.training.gpu import outputs
from cvunet.training.gpu.batches import Batch, Sampler
from cvunet.training.gpu.budget import Budget, Turn
from cvunet.training.gpu.learning import Learner, Memory, is_good
from cvunet.training.gpu.planner import Planner

logger = logging.getLogger(__name__)

LOG = "log.csv"
COLUMNS = (
    *("seconds", "share", "step", "samples", "size", "rate"),
    *("loss", "gradient_norm", "samples_per_s", "busy", "rescues"),
)
SAVE_EVERY_S = 60.0
CHECK_EVERY_S = 3.0
MOST_RESCUES = 3
AHEAD = 2
"""Steps that may wait on the device."""


class Pace:
    """Lets the CPU run at most `AHEAD` steps before the device; measures who waits for whom."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.pending: list[torch.cuda.Event] = []
        self.restart()

    def restart(self) -> None:
        """Begin to measure anew."""
        self.busy_s = self.total_s = 0.0
        self.began_s = time.monotonic()

    def step(self) -> None:
        """A step has been given to the device."""
        is_fed = True
        if self.device.type == "cuda":
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]  # as are query and others
            event.record()
            self.pending.append(event)
            if len(self.pending) > AHEAD:
                oldest = self.pending.pop(0)
                # If that is not done, the device has had work all the time since.
                is_fed = not oldest.query()  # type: ignore[no-untyped-call]
                oldest.synchronize()
        now = time.monotonic()
        self.total_s += now - self.began_s
        self.busy_s += (now - self.began_s) * is_fed
        self.began_s = now

    @property
    def busy(self) -> float:
        """Share of the time in which the device surely had work; on a CPU 1."""
        return self.busy_s / max(self.total_s, 1e-6)


class Run:
    """A run in a folder; `go` ends when the time is up or it is asked to stop."""

    def __init__(
        self,
        *,
        learner: Learner,
        planner: Planner,
        sampler: Sampler,
        budget: Budget,
        folder: Path,
        number: int = 0,
        is_stopped: Callable[[], bool],
    ) -> None:
        """``number``: the first batch."""
        self.learner = learner
        self.planner = planner
        self.sampler = sampler
        self.budget = budget
        self.folder = folder
        self.number = number
        self.is_stopped = is_stopped
        self.memory = Memory(learner)
        self.pace = Pace(learner.device)
        self.samples = self.rescues = 0
        self.began_s = self.saved_s = self.checked_s = time.monotonic()
        self.saved_samples = 0

    def go(self) -> None:
        """Train; the files are written every minute and at the end, however it comes.

        `TrainingError` if the loss keeps being no number; the last good state is written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        while True:
            turn = self.budget.turn(self.number)
            batch = self.sampler.make(
                self.planner.plan(self.number, count=turn.count, size=turn.size)
            )
            self.learner.learn(batch, turn.rate, is_trunk_only=turn.is_trunk_only)
            self.pace.step()
            self.number += 1
            self.samples += turn.count
            is_last = self.budget.share >= 1 or self.is_stopped()
            now = time.monotonic()
            is_due = is_last or now - self.saved_s >= SAVE_EVERY_S
            if is_due or now - self.checked_s >= CHECK_EVERY_S:
                self.check(turn, batch)
            if is_due:  # what is written was good a moment ago
                self.save(turn, batch)
            if is_last:
                logger.info("%s samples in %.0f s", self.samples, now - self.began_s)
                return

    def check(self, turn: Turn, batch: Batch) -> None:
        """Keep the state if it is good, else return to the last good one."""
        means = self.learner.means()
        self.checked_s = time.monotonic()
        if is_good(means):
            self.memory.keep()
            return
        self.rescues += 1
        self.memory.go_back()
        self.learner.restart()
        logger.error(
            "loss %s, gradient norm %s near batch %s: back to the last good state (%s of %s times)",
            *means,
            self.number,
            self.rescues,
            MOST_RESCUES,
        )
        if self.rescues >= MOST_RESCUES:
            self.save(turn, batch)
            raise TrainingError(
                f"the loss was not a number {self.rescues} times, last near batch {self.number};"
                f" {self.folder} holds the last good state: resume with a lower --rate"
            )

    def save(self, turn: Turn, batch: Batch) -> None:
        """Write weights, state, a row of the log and a sheet."""
        loss, norm = self.learner.means()
        now = time.monotonic()
        speed = (self.samples - self.saved_samples) / max(now - self.saved_s, 1e-6)
        row = (
            f"{now - self.began_s:.0f}",
            f"{turn.share:.4f}",
            str(self.learner.step),
            str(self.samples),
            str(turn.size),
            f"{turn.rate:.2e}",
            *(f"{value:.4f}" for value in (loss, norm)),
            f"{speed:.1f}",
            f"{self.pace.busy:.3f}",
            str(self.rescues),
        )
        known = {"batch": self.number, "share": self.budget.share, "samples": self.samples}
        config = self.planner.recipe.network
        outputs.save(self.folder, self.learner, config=config, known=known)
        checkpoints.append(self.folder / LOG, COLUMNS, row)
        logger.info("%s", " ".join(map("=".join, zip(COLUMNS, row, strict=True))))
        predicted = outputs.answers(
            self.learner.average.model,
            few(batch, outputs.SHEET_SAMPLES),
            is_trunk_only=turn.is_trunk_only,
        )
        outputs.write_sheet(self.folder, batch, predicted)
        self.learner.restart()
        self.pace.restart()
        self.saved_s, self.saved_samples = time.monotonic(), self.samples


def few(batch: Batch, count: int) -> Batch:
    """The first samples of a batch."""
    return Batch(
        batch.rgb[:count],
        batch.alpha[:count],
        batch.contrast[:count],
        batch.known[:count],
        batch.is_soft[:count],
    )
