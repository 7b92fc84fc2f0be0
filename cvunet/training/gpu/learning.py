"""Optimiser steps; on a GPU they are recorded once per shape and then replayed."""

import logging
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cvunet.inference import torch_predictor
from cvunet.network.network import CVUNet
from cvunet.training import layout, optimisers
from cvunet.training.average import Average
from cvunet.training.gpu.batches import Batch
from cvunet.training.losses import Target, matting_loss
from cvunet.training.recipe import Recipe

logger = logging.getLogger(__name__)

WARM_STEPS = 3
"""Steps of a shape before it is recorded, so that libraries have chosen their kernels."""
Shape = tuple[int, int, bool]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A step as a CUDA graph, with the tensors that it reads."""

    graph: "torch.cuda.CUDAGraph"
    batch: Batch


class Learner:
    """A network with its average and optimiser; `learn` is one step.

    ``sums`` holds the losses and gradient norms since `restart`, on the device, so that no step has
    to wait for a number.
    """

    def __init__(
        self,
        model: CVUNet,
        recipe: Recipe,
        device: torch.device,
        *,
        compiler: str | None = None,
    ) -> None:
        """``compiler``: a back end of `torch.compile`, "inductor" for instance; `None`: none."""
        self.device = device
        self.loss = self.plain_loss
        self.is_compiled = compiler is not None
        if compiler is not None:
            self.loss = torch.compile(self.plain_loss, backend=compiler, dynamic=False)
        self.clip = recipe.clip
        self.decay = recipe.ema_decay
        self.model = layout.arrange(model, device).train()
        self.average = Average(self.model)
        self.is_recorded = device.type == "cuda"
        self.optimiser = build_optimiser(self.model, recipe, is_recorded=self.is_recorded)
        self.sums = torch.zeros(2, device=device)
        self.steps = 0
        """Since `restart`."""
        self.step = 0
        """Of the run."""
        self.warm: dict[Shape, int] = {}
        self.recorded: dict[Shape, Recorded] = {}
        self.pool = torch.cuda.graph_pool_handle() if self.is_recorded else None

    def restart(self) -> None:
        """Begin to sum anew."""
        self.sums.zero_()
        self.steps = 0

    def means(self) -> tuple[float, float]:
        """Loss and gradient norm per step since `restart`; waits for the device."""
        loss, norm = (self.sums / max(self.steps, 1)).tolist()
        return loss, norm

    def learn(self, batch: Batch, rate: float, *, is_trunk_only: bool) -> None:
        """Do one step at this rate."""
        for group in self.optimiser.param_groups:
            value = rate * group["ratio"]
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(value)
            else:
                group["lr"] = value
        self.advance(batch, is_trunk_only=is_trunk_only)
        self.step += 1
        self.steps += 1
        self.average.update(self.model, self.step, decay=self.decay)

    def advance(self, batch: Batch, *, is_trunk_only: bool) -> None:
        """Replay the step of this shape; record it, if it is warm."""
        shape = len(batch.rgb), batch.rgb.shape[-1], is_trunk_only
        if not self.is_recorded:
            self.compute(batch, is_trunk_only=is_trunk_only)
            return
        known = self.recorded.get(shape)
        if known is None and self.warm.get(shape, 0) < WARM_STEPS:
            self.warm[shape] = self.warm.get(shape, 0) + 1
            self.compute_aside(batch, is_trunk_only=is_trunk_only)
            return
        if known is None:
            known = self.record(batch, shape)
        if known is None:
            self.compute(batch, is_trunk_only=is_trunk_only)
            return
        copy(batch, known.batch)
        known.graph.replay()

    def record(self, batch: Batch, shape: Shape) -> Recorded | None:
        """Record a step of this shape; `None` where that cannot be done, and all go on without."""
        still = Batch(*(each.clone() for each in fields(batch)))
        self.optimiser.zero_grad(set_to_none=True)
        try:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self.pool):
                self.compute(still, is_trunk_only=shape[2])
        except RuntimeError as error:
            self.is_recorded = False
            self.recorded.clear()
            logger.error(
                "THE STEP CANNOT BE RECORDED, so the run goes on kernel by kernel and much slower:"
                " %s",
                error,
            )
            return None
        logger.info("recorded the step of %s pictures at %s px", *shape[:2])
        self.recorded[shape] = Recorded(graph, still)
        return self.recorded[shape]

    def compute_aside(self, batch: Batch, *, is_trunk_only: bool) -> None:
        """A step on a stream of its own, as CUDA wants it before a recording."""
        stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]  # torch's own
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            self.compute(batch, is_trunk_only=is_trunk_only)
        torch.cuda.current_stream(self.device).wait_stream(stream)

    def compute(self, batch: Batch, *, is_trunk_only: bool) -> None:
        """Forward, loss, backward, step; nothing comes back to the CPU."""
        try:
            loss = self.loss(batch, is_trunk_only=is_trunk_only)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:  # of which the compiler's errors are
            if not self.is_compiled:
                raise
            self.is_compiled, self.loss = False, self.plain_loss
            logger.error(
                "THE STEP CANNOT BE COMPILED, so the run goes on without the compiler: %s", error
            )
            self.compute(batch, is_trunk_only=is_trunk_only)
            return
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimiser.step()
        self.sums.add_(torch.stack([loss.detach(), norm]))

    def plain_loss(self, batch: Batch, *, is_trunk_only: bool) -> Tensor:
        """Run the forward pass and return the loss."""
        model = self.model
        image = (batch.rgb * 2 - 1).contiguous(memory_format=torch.channels_last)
        forward = model.trunk_supervised if is_trunk_only else model.forward_supervised
        with autocast(self.device):
            logits, coarse = forward(image)
        target = Target(batch.alpha, batch.contrast, batch.is_soft, batch.known)
        return matting_loss(logits.float(), coarse.float(), target)

    def tensors(self) -> list[Tensor]:
        """All that a step changes: weights, statistics, average, the optimiser's memory."""
        models = (self.model, self.average.model)
        found = [tensor for model in models for tensor in model.state_dict().values()]
        for state in self.optimiser.state.values():
            found += [value for value in state.values() if isinstance(value, Tensor)]
        return found


class Memory:
    """The last good state of a learner, on its device."""

    def __init__(self, learner: Learner) -> None:
        self.learner = learner
        self.kept: list[Tensor] = []
        self.keep()

    @torch.no_grad()
    def keep(self) -> None:
        """Remember the present state; it must be good."""
        now = self.learner.tensors()
        if len(now) != len(self.kept):  # the optimiser's memory grows in its first steps
            self.kept = [tensor.clone() for tensor in now]
            return
        for kept, tensor in zip(self.kept, now, strict=True):
            kept.copy_(tensor)

    @torch.no_grad()
    def go_back(self) -> None:
        """Return to the remembered state; what the optimiser did not have then becomes 0."""
        now = self.learner.tensors()
        for tensor, kept in zip(now, self.kept, strict=False):
            tensor.copy_(kept)
        for tensor in now[len(self.kept) :]:
            tensor.zero_()


def is_good(means: tuple[float, float]) -> bool:
    """True if loss and gradient norm are numbers."""
    return all(map(math.isfinite, means))


def autocast(device: torch.device) -> torch.autocast:
    """Do as `precision.autocast`, but without the cache, which a recorded step must not have."""
    is_fast = torch_predictor.choose_precision("auto", device) != torch.float32
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=is_fast, cache_enabled=False)


def build_optimiser(model: CVUNet, recipe: Recipe, *, is_recorded: bool) -> torch.optim.AdamW:
    """AdamW; if it is to be recorded, its rates are tensors that may change between replays."""
    groups = optimisers.describe(
        model,
        kind="adamw",
        ratios={"encoder": recipe.backbone_rate_ratio, "refine": recipe.refine_rate_ratio},
        weight_decay=recipe.weight_decay,
    )
    device = next(model.parameters()).device
    for group in groups:
        group["lr"] = torch.zeros((), device=device) if is_recorded else 0.0
    return torch.optim.AdamW(
        groups,
        lr=0.0,
        betas=optimisers.BETAS,
        eps=optimisers.EPSILON,
        fused=is_recorded or None,
        capturable=is_recorded,
    )


def fields(batch: Batch) -> tuple[Tensor, ...]:
    """Return a batch's tensors in the order of the constructor."""
    return batch.rgb, batch.alpha, batch.contrast, batch.known, batch.is_soft


def copy(source: Batch, target: Batch) -> None:
    """Copy all tensors of a batch into those of another one."""
    for mine, theirs in zip(fields(target), fields(source), strict=True):
        mine.copy_(theirs)
