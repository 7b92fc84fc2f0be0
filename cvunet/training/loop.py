"""The training loop: phases, schedule, averaged weights, checkpoints, log."""

import csv
import dataclasses
import logging
import math
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from cvunet.errors import TrainingError
from cvunet.network.network import CVUNet
from cvunet.training import layout, precision, validation
from cvunet.training.clock import Clock
from cvunet.training.losses import Target, matting_loss
from cvunet.training.origin import Origin
from cvunet.training.recipe import Phase, Recipe
from cvunet.training.samples import Sample, SampleStream, Sources

logger = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"
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
GRADIENT_NORM = 1.0
VALIDATION_PHOTOS = 100
SHEET_PHOTOS = 24


def learning_rate(phase: Phase, step: int, *, warmup: float) -> float:
    """Half a cosine from the phase's start to its end, times the warm-up factor in [0, 1]."""
    fall = 0.5 * (1 + math.cos(math.pi * step / max(phase.steps, 1)))
    return warmup * (phase.rate_end + (phase.rate_start - phase.rate_end) * fall)


class Average:
    """Exponential moving average of a model's weights; buffers are copied."""

    def __init__(self, model: CVUNet) -> None:
        self.model = deepcopy(model).eval()

    @torch.no_grad()
    def update(self, model: CVUNet, step: int, *, decay: float) -> None:
        """Young averages follow faster, so that the start is forgotten."""
        decay = min(decay, (1 + step) / (10 + step))
        for mean, new in zip(self.model.parameters(), model.parameters(), strict=True):
            mean.lerp_(new, 1 - decay)
        for kept, fresh in zip(self.model.buffers(), model.buffers(), strict=True):
            kept.copy_(fresh)


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
        self.optimiser = self.build_optimiser()
        self.step = 0
        self.seconds = 0.0
        self.figures: dict[str, str] = {}
        """The log's newest row."""
        self.resume()

    def build_optimiser(self) -> torch.optim.Optimizer:
        """AdamW; the encoder, already trained and unnormalised, learns slowly."""
        encoder = list(self.model.encoder.parameters())
        known = {id(parameter) for parameter in encoder}
        rest = [p for p in self.model.parameters() if id(p) not in known]
        groups = [
            {"params": rest, "ratio": 1.0},
            {"params": encoder, "ratio": self.recipe.backbone_rate_ratio},
        ]
        return torch.optim.AdamW(groups, lr=0.0, weight_decay=self.recipe.weight_decay)

    def resume(self) -> None:
        """Take up the folder's checkpoint, if there is one; another recipe's is refused."""
        path = self.folder / CHECKPOINT
        if not path.exists():
            return
        state = torch.load(path, weights_only=True, map_location=self.device)
        ours, theirs = recipe_fields(self.recipe), state["recipe"]
        differing = sorted(key for key in ours if ours[key] != theirs.get(key))
        # The schedule may be lengthened or cut short in the middle; what it trains may not change.
        if set(differing) - {"phases", "validate_every"}:
            raise TrainingError(
                f"{path}: made by another recipe; differing: {', '.join(differing)}"
            )
        self.model.load_state_dict(state["model"])
        self.average.model.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds = state["step"], state["seconds"]
        logger.info("resumed %s at step %s", path, self.step)

    def run(self) -> None:
        """Train what is left of every phase."""
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
            warmup = min(1.0, (self.step + 1) / max(self.recipe.warmup_steps, 1))
            rate = learning_rate(phase, position, warmup=warmup)
            losses.append(self.train_step(batch, rate, is_trunk_only=phase.is_trunk_only))
            self.average.update(self.model, self.step, decay=self.decay(phase))
            bar.update()
            bar.set_postfix(size=phase.size, loss=f"{sum(losses[-50:]) / len(losses[-50:]):.3f}")
            if self.step % self.recipe.validate_every == 0 or position + 1 == phase.steps:
                clock.stop()
                self.seconds += clock.seconds
                self.checkpoint(phase, rate, sum(losses) / len(losses), clock)
                losses = []
                clock.restart()

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
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), GRADIENT_NORM)
        self.optimiser.step()
        self.step += 1
        return value

    def decay(self, phase: Phase) -> float:
        """The average reaches back over a tenth of a phase at most: a short one must not lag."""
        return min(self.recipe.ema_decay, 1 - 10 / max(phase.steps, 11))

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
        values = (loss, salient.mae, salient.iou, people.iou, speed, clock.busy, self.seconds)
        row = [str(self.step), str(phase.size), f"{rate:.2e}", *(f"{v:.4f}" for v in values)]
        self.figures = dict(zip(LOG_COLUMNS, row, strict=True))
        self.save()
        self.append_log(row)
        logger.info("%s", self.figures)

    def save(self) -> None:
        """Write the checkpoint beside its place, then rename it there."""
        state = {
            "recipe": recipe_fields(self.recipe),
            "origin": dataclasses.asdict(self.origin),
            "figures": self.figures,
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        part = self.folder / f"{CHECKPOINT}.part"
        torch.save(state, part)
        part.replace(self.folder / CHECKPOINT)

    def append_log(self, row: list[str]) -> None:
        """One line of ``log.csv``."""
        path = self.folder / "log.csv"
        is_new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            if is_new:
                writer.writerow(LOG_COLUMNS)
            writer.writerow(row)


def recipe_fields(recipe: Recipe) -> dict[str, Any]:  # Any: the recipe's own values
    """The recipe as plain values, as they travel inside a checkpoint."""
    return dataclasses.asdict(recipe)
