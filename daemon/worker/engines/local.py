"""The engine in this process: threads and a warm model for each device."""

import hashlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from daemon.worker import allocator
from daemon.worker.finishing import Backgrounds, Finishing
from daemon.worker.gauges import Limits
from daemon.worker.predictors import check_colours, open_predictors
from daemon.worker.worker import Worker

logger = logging.getLogger(__name__)

MAX_THREADS = 16
#: If a GPU runs the network, finishing a picture takes six times as long as decoding it.
MAX_FINISHERS = 32


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """The engine's settings."""

    weights: Path
    devices: tuple[str, ...]
    precision: Literal["auto", "float32", "bfloat16", "float16"]
    input_size: int
    is_mirrored: bool
    max_batch: int
    max_wait_s: float
    memory_bytes: int
    """Memory of all pictures in work."""
    colours: Literal["fast", "refine"]
    backgrounds: tuple[Path, ...] = ()
    """Pictures that results are put on."""


def cores() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0))


def pool_sizes(cores: int, *, has_gpus: bool) -> tuple[int, int]:
    """Return how many threads decode and finish; ``has_gpus``: no network on the CPU."""
    if has_gpus:
        return min(cores, MAX_THREADS) // 4 + 1, min(cores, MAX_FINISHERS)
    threads = min(cores, MAX_THREADS) // 2 + 1
    return threads, threads


def open_engine(settings: EngineSettings, on_step: Callable[[str], object]) -> Worker:
    """Load the model once for each device and warm it; ready when this returns.

    ``on_step`` is called before each step. `InstallError` if the weights, a named device, a
    background or the estimator is missing.
    """
    allocator.configure_allocator()
    check_colours(settings.colours)
    predictors = open_predictors(
        settings.weights,
        settings.devices,
        cores=cores(),
        on_step=on_step,
        precision=settings.precision,
        input_size=settings.input_size,
        is_mirrored=settings.is_mirrored,
    )
    finishing = Finishing(
        weights=hashlib.sha256(settings.weights.read_bytes()).hexdigest(),
        model={
            "input_size": settings.input_size,
            "precision": settings.precision,
            "mirror": settings.is_mirrored,
        },
        backgrounds=Backgrounds(settings.backgrounds),
    )
    has_gpus = all(predictor.device.type != "cpu" for predictor in predictors)
    decoders, finishers = pool_sizes(cores(), has_gpus=has_gpus)
    limits = Limits(
        max_batch=settings.max_batch,
        max_wait_s=settings.max_wait_s,
        decoders=decoders,
        finishers=finishers,
        memory_bytes=settings.memory_bytes,
    )
    worker = Worker(predictors, limits, finishing, limit_free=allocator.FreeMemory().trim_above)
    worker.warm(on_step)
    logger.info("the model is warm on %s", worker.device)
    return worker
