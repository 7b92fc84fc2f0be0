"""The engine in this process: threads and a warm model for each device."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from daemon import collector
from daemon.settings import ModelSettings
from daemon.worker import allocator, host_memory
from daemon.worker.children.pool import ChildPool
from daemon.worker.children.process import processors
from daemon.worker.finishing import Backgrounds, Finishing
from daemon.worker.gauges import Limits
from daemon.worker.lanes import ServedModel
from daemon.worker.predictors import check_colours, open_predictors, options_of, sha256_of
from daemon.worker.worker import Worker

logger = logging.getLogger(__name__)

MAX_THREADS = 16
#: If a GPU runs the network, finishing a picture takes six times as long as decoding it.
MAX_FINISHERS = 32


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """The engine's settings."""

    models: tuple[ModelSettings, ...]
    """The first is the default."""
    max_batch: int
    max_wait_s: float
    memory_bytes: int
    """Memory of all pictures in work, and of models beyond the first 400 MB."""
    colours: Literal["fast", "refine"]
    export_folders: tuple[Path, ...] = ()
    """Where the export of our weights is kept if their own folder cannot be written."""
    backgrounds: tuple[Path, ...] = ()
    """Pictures that results are put on."""
    max_file_bytes: int = 2_000_000_000
    max_decode_s: float = 120.0
    clips: int = 1
    frame_share: float = 0.25
    max_clip_bytes: int = 20_000_000_000


def pool_sizes(cores: int, *, has_gpus: bool) -> tuple[int, int]:
    """Return how many threads decode and finish; ``has_gpus``: no network on the CPU."""
    if has_gpus:
        return min(cores, MAX_THREADS) // 4 + 1, min(cores, MAX_FINISHERS)
    threads = min(cores, MAX_THREADS) // 2 + 1
    return threads, threads


def open_engine(settings: EngineSettings, on_step: Callable[[str], object]) -> Worker:
    """Load each model once for each of its devices and warm it; ready when this returns.

    ``on_step`` is called before each step. `InstallError` if a model, a named device, a background
    or the estimator is missing, if the models leave no memory for pictures, or if decode children
    do not start.
    """
    allocator.configure_allocator(arenas=allocator.arenas_for(processors()))
    check_colours(settings.colours)
    # Before the models, so that they get ready meanwhile, and no process begins beside CUDA.
    decoders, _ = pool_sizes(processors(), has_gpus=True)
    children = ChildPool(decoders, max_decode_s=settings.max_decode_s)
    before = host_memory.own_bytes()
    opened: Worker | ChildPool = children
    try:
        opened = worker = open_worker(settings, children, on_step)
        worker.warm(on_step)
        allocator.trim()  # what models needed only while they were loaded
        # What CUDA takes of the host comes on top, as config.yaml says: it is not the models'.
        if all(one.predictor.device.type == "cpu" for one in worker.model_threads):
            taken = host_memory.own_bytes() - before
            worker.budget.limit = host_memory.left_for_pictures(settings.memory_bytes, taken)
        children.check()
        collector.settle()
    except BaseException:
        opened.close()  # a worker closes its children, too
        raise
    logger.info("the model%s warm on %s", names_of(settings.models), worker.device)
    return worker


def names_of(models: Sequence[ModelSettings]) -> str:
    """Return " is", or for several models their names with "are"."""
    return " is" if len(models) == 1 else f"s {', '.join(one.name for one in models)} are"


def open_worker(
    settings: EngineSettings, children: ChildPool, on_step: Callable[[str], object]
) -> Worker:
    """The models on their devices, and the pools around them; not warm yet."""
    models = {
        one.name: open_model(one, settings.export_folders, on_step) for one in settings.models
    }
    predictors = [one for model in models.values() for one in model.predictors]
    has_gpus = all(predictor.device.type != "cpu" for predictor in predictors)
    decoders, finishers = pool_sizes(processors(), has_gpus=has_gpus)
    children.extend(decoders)
    limits = Limits(
        max_batch=settings.max_batch,
        max_wait_s=settings.max_wait_s,
        decoders=decoders,
        finishers=finishers,
        memory_bytes=settings.memory_bytes,
        max_file_bytes=settings.max_file_bytes,
        clips=settings.clips,
        frame_share=settings.frame_share,
        max_clip_bytes=settings.max_clip_bytes,
        max_silence_s=settings.max_decode_s,
    )
    free_memory = allocator.FreeMemory()
    return Worker(
        models,
        limits,
        Finishing(backgrounds=Backgrounds(settings.backgrounds)),
        limit_free=free_memory.trim_above,
        decoder=children,
    )


def open_model(
    model: ModelSettings, export_folders: tuple[Path, ...], on_step: Callable[[str], object]
) -> ServedModel:
    """Load one model, with what the manifest says of it."""
    host_memory.check_fits(model.file, host_memory.available_bytes())
    predictors = open_predictors(
        options_of(model, export_folders), model.devices, cores=processors(), on_step=on_step
    )
    return ServedModel(
        predictors,
        sha256=sha256_of(model.file),
        settings={
            "input_size": model.input_size,
            "precision": model.precision,
            "mirror": model.is_mirrored,
        },
    )
