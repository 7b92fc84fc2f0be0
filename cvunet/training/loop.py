"""The training loop: phases, steps, checkpoints, validations, log."""

import dataclasses
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from cvunet.errors import TrainingError
from cvunet.network.network import CVUNet
from cvunet.training import checkpoints, layout, optimisers, precision, schedule, validation
from cvunet.training import recipe as recipes
from cvunet.training.average import Average
from cvunet.training.checkpoints import CHECKPOINT
from cvunet.training.clock import Clock
from cvunet.training.losses import Target, matting_loss
from cvunet.training.origin import Origin
from cvunet.training.recipe import Phase, Recipe
from cvunet.training.samples import Sample, Sources
from cvunet.training.stream import SampleStream

logger = logging.getLogger(__name__)

LOG_COLUMNS = (
    "step",
    "size",
    "rate",
    "loss",
    "salient_mae",
    "salient_iou",
    "people_iou",
    "pictures_per_s",
    "busy",
    "seconds",
)
PROGRESS_COLUMNS = ("step", "samples", "rate", "loss", "gradient_norm", "samples_per_s", "seconds")
VALIDATION_PHOTOS = 100
SHEET_PHOTOS = 24
CHECKPOINT_EVERY_S = 480.0


class Stopped(Exception):
    """The run was asked to stop; its checkpoint is written."""


def never() -> bool:
    """The run is never asked to stop."""
    return False


@dataclasses.dataclass(slots=True)
class Recent:
    """The steps since the last line of progress."""

    losses: list[float] = dataclasses.field(default_factory=list)
    norms: list[float] = dataclasses.field(default_factory=list)
    samples: int = 0


class Trainer:
    """One run of a recipe in a folder of its own; `run` resumes where its checkpoint stopped."""

    def __init__(
        self,
        recipe: Recipe,
        model: CVUNet,
        *,
        sources: Sources,
        validation_sources: Sources,
        folder: Path,
        origin: Origin,
        device: torch.device,
        loaders: int,
    ) -> None:
        self.recipe = recipe
        self.origin = origin
        self.device = device
        self.loaders = loaders
        self.sources = sources
        self.salient = validation.spread(validation_sources.salient, VALIDATION_PHOTOS)
        self.people = validation.spread(validation_sources.people, VALIDATION_PHOTOS)
        self.folder = folder
        self.model = layout.arrange(model, device)
        self.average = Average(self.model)
        self.optimiser = optimisers.build(
            self.model,
            kind=recipe.optimiser,
            ratios={
                "encoder": recipe.backbone_rate_ratio,
                "refine": recipe.refine_rate_ratio,
            },
            weight_decay=recipe.weight_decay,
        )
        self.is_stopped: Callable[[], bool] = never
        self.checkpoint_every_s = CHECKPOINT_EVERY_S
        self.recent = Recent()
        self.saved_s = time.monotonic()
        self.step = self.warmed_from = 0  # the rate is warmed up from that step
        self.seconds = 0.0
        self.figures: dict[str, str] = {}
        """The log's newest row."""
        self.resume()

    def resume(self) -> None:
        """Load the folder's checkpoint, if there is one; that of another recipe is refused."""
        state = checkpoints.read(self.folder, expected=self.recipe, device=self.device)
        if state is None:
            return
        if state["origin"]["data"] != self.origin.data:
            logger.warning("the shards differ from those that this run started with")
        self.model.load_state_dict(state["model"])
        self.average.model.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.warmed_from = state.get("warmed_from", 0)  # older ones lack it
        self.step, self.seconds = state["step"], state["seconds"]
        self.figures = state["figures"]
        logger.info("resumed %s at step %s", self.folder / CHECKPOINT, self.step)

    def run(
        self,
        *,
        is_stopped: Callable[[], bool] = never,
        checkpoint_every_s: float = CHECKPOINT_EVERY_S,
    ) -> None:
        """Train the rest of every phase; `Stopped` if ``is_stopped`` says so before the end.

        ``is_stopped`` is called after each step. Before `Stopped` a checkpoint is written.
        """
        self.is_stopped, self.checkpoint_every_s = is_stopped, checkpoint_every_s
        self.folder.mkdir(parents=True, exist_ok=True)
        first_step, first_sample = 0, 0
        with tqdm(total=self.recipe.total_steps, initial=self.step, unit="step") as bar:
            for phase in self.recipe.phases:
                done = min(max(self.step - first_step, 0), phase.steps)
                if done < phase.steps:
                    self.run_phase(phase, done, first_sample + done * phase.batch, bar)
                first_step += phase.steps
                first_sample += phase.steps * phase.batch

    def run_phase(
        self, phase: Phase, done: int, first_sample: int, bar: "tqdm[Any]"
    ) -> None:  # Any: the bar iterates over nothing
        """Train the rest of one phase."""
        stream = SampleStream(
            self.sources,
            self.recipe,
            phase,
            first=first_sample,
            count=(phase.steps - done) * phase.batch,
            phase_first=first_sample - done * phase.batch,
        )
        loader = DataLoader(
            stream,
            batch_size=phase.batch,
            num_workers=self.loaders,
            pin_memory=self.device.type == "cuda",
            persistent_workers=self.loaders > 0,
        )
        losses: list[float] = []
        clock = Clock()
        for position, batch in enumerate(clock.watch(loader), start=done):
            rate = schedule.rate_at(
                self.recipe,
                phase,
                step=self.step,
                position=position,
                warmed_from=self.warmed_from,
            )
            losses.append(self.train_step(batch, rate, is_trunk_only=phase.is_trunk_only))
            decay = schedule.decay_at(self.recipe, phase)
            self.average.update(self.model, self.step, decay=decay)
            bar.update()
            bar.set_postfix(size=phase.size, loss=f"{sum(losses[-50:]) / len(losses[-50:]):.3f}")
            if self.step % self.recipe.validate_every == 0 or position + 1 == phase.steps:
                clock.stop()
                self.checkpoint(phase, rate, sum(losses) / len(losses), clock)
                losses = []
                clock.restart()
            self.save_if_due(rate)

    def save_if_due(self, rate: float) -> None:
        """Write a checkpoint every few minutes, and before the run stops."""
        is_last = self.is_stopped()
        if is_last or time.monotonic() - self.saved_s >= self.checkpoint_every_s:
            self.save(rate)
        if is_last:
            logger.info("stopped at step %s", self.step)
            raise Stopped

    def train_step(self, batch: Sample, rate: float, *, is_trunk_only: bool = False) -> float:
        """One optimiser step; the batch's loss. `TrainingError` if it is not a number."""
        self.model.train()
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["ratio"]
        image, target = self.to_device(batch)
        model = self.model
        forward = model.trunk_supervised if is_trunk_only else model.forward_supervised
        with precision.autocast(self.device):
            logits, coarse = forward(image)
        loss = matting_loss(logits.float(), coarse.float(), target)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(
                f"the loss is {value} at step {self.step}; "
                f"{self.folder / CHECKPOINT} holds the last good state: lower the rate and resume"
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimiser.step()
        self.step += 1
        self.recent.losses.append(value)
        self.recent.norms.append(float(norm))
        self.recent.samples += len(image)
        return value

    def to_device(self, batch: Sample) -> tuple[Tensor, Target]:
        """Image in [-1, 1] and what it should give; bytes travel, not floats."""

        def send(field: Tensor) -> Tensor:
            return field.to(self.device, non_blocking=True)

        image = send(batch["image"]).contiguous(memory_format=torch.channels_last)
        target = Target(
            alpha=send(batch["alpha"]).float() / 255,
            contrast=send(batch["contrast"]).float() / 255,
            is_soft=send(batch["is_soft"]),
        )
        return image.float() / 127.5 - 1, target

    def checkpoint(self, phase: Phase, rate: float, loss: float, clock: Clock) -> None:
        """Validate the averaged weights, draw the sheet, write the state and a row of the log."""
        size = self.recipe.phases[-1].size
        settings: dict[str, Any] = {"size": size, "device": self.device}  # Any: keywords
        model = self.average.model
        salient = validation.measure(model, self.salient, **settings)
        people = validation.measure(model, self.people, **settings)
        sheet = self.salient[: SHEET_PHOTOS // 2] + self.people[: SHEET_PHOTOS // 2]
        validation.write_sheet(self.folder / f"sheet-{self.step:06}.png", model, sheet, **settings)
        speed = clock.batches * phase.batch / clock.seconds
        seconds = self.seconds + time.monotonic() - self.saved_s
        values = (loss, salient.mae, salient.iou, people.iou, speed, clock.busy, seconds)
        row = [str(self.step), str(phase.size), f"{rate:.2e}", *(f"{v:.4f}" for v in values)]
        self.figures = dict(zip(LOG_COLUMNS, row, strict=True))
        self.save(rate)
        checkpoints.append(self.folder / "log.csv", LOG_COLUMNS, row)
        logger.info("%s", self.figures)

    def save(self, rate: float) -> None:
        """Write the checkpoint, the averaged weights in half precision and a line of progress."""
        now = time.monotonic()
        passed, self.saved_s = max(now - self.saved_s, 1e-6), now
        self.seconds += passed
        state = {
            "recipe": recipes.to_fields(self.recipe),
            "origin": dataclasses.asdict(self.origin),
            "figures": self.figures,
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "warmed_from": self.warmed_from,
            "seconds": self.seconds,
        }
        checkpoints.write(self.folder, state)
        checkpoints.write_average(
            self.folder,
            self.average.model,
            config=self.recipe.network,
            provenance={
                "recipe": self.recipe.name,
                "step": self.step,
                "seconds": round(self.seconds),
            },
        )
        recent, self.recent = self.recent, Recent()
        if not recent.losses:
            return
        count = len(recent.losses)
        loss, norm = sum(recent.losses) / count, sum(recent.norms) / count
        row = [
            str(self.step),
            str(self.recipe.samples_at(self.step)),
            f"{rate:.3e}",
            *(f"{v:.4f}" for v in (loss, norm, recent.samples / passed)),
            f"{self.seconds:.0f}",
        ]
        checkpoints.append(self.folder / "progress.csv", PROGRESS_COLUMNS, row)
