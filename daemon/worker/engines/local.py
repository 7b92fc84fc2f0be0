"""The engine in this process: threads and a warm model for each device."""

import hashlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from daemon.worker import allocator
from daemon.worker.children.pool import ChildPool
from daemon.worker.finishing import Backgrounds, Finishing
from daemon.worker.gauges import Limits
from daemon.worker.predictors import ModelOptions, check_colours, open_predictors
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
    runtime: Literal["auto", "torch", "onnxruntime"] = "auto"
    export_folders: tuple[Path, ...] = ()
    """Where the export of the weights is kept if their own folder cannot be written."""
    backgrounds: tuple[Path, ...] = ()
    """Pictures that results are put on."""
    max_file_bytes: int = 2_000_000_000
    max_decode_s: float = 120.0


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
    background or the estimator is missing, or if decode children do not start.
    """
    allocator.configure_allocator()
    check_colours(settings.colours)
    # Before the model, so that they get ready meanwhile, and no process begins beside CUDA.
    decoders, _ = pool_sizes(cores(), has_gpus=True)
    children = ChildPool(decoders, max_decode_s=settings.max_decode_s)
    try:
        worker = open_worker(settings, children, on_step)
        worker.warm(on_step)
        children.check()
    except BaseException:
        children.close()
        raise
    logger.info("the model is warm on %s", worker.device)
    return worker


def open_worker(
    settings: EngineSettings, children: ChildPool, on_step: Callable[[str], object]
) -> Worker:
    """The model on its devices, and the pools around it; not warm yet."""
    predictors = open_predictors(
        model_options(settings), settings.devices, cores=cores(), on_step=on_step
    )
    has_gpus = all(predictor.device.type != "cpu" for predictor in predictors)
    decoders, finishers = pool_sizes(cores(), has_gpus=has_gpus)
    children.extend(decoders)
    limits = Limits(
        max_batch=settings.max_batch,
        max_wait_s=settings.max_wait_s,
        decoders=decoders,
        finishers=finishers,
        memory_bytes=settings.memory_bytes,
        max_file_bytes=settings.max_file_bytes,
    )
    free_memory = allocator.FreeMemory()
    return Worker(
        predictors,
        limits,
        finishing_of(settings),
        limit_free=free_memory.trim_above,
        decoder=children,
    )


def model_options(settings: EngineSettings) -> ModelOptions:
    """The model's part of the settings."""
    return ModelOptions(
        file=settings.weights,
        runtime=settings.runtime,
        precision=settings.precision,
        input_size=settings.input_size,
        is_mirrored=settings.is_mirrored,
        export_folders=settings.export_folders,
    )


def finishing_of(settings: EngineSettings) -> Finishing:
    """What is the same for all results."""
    return Finishing(
        weights=hashlib.sha256(settings.weights.read_bytes()).hexdigest(),
        model={
            "input_size": settings.input_size,
            "precision": settings.precision,
            "mirror": settings.is_mirrored,
        },
        backgrounds=Backgrounds(settings.backgrounds),
    )
