"""The engine in this process, set up from the configuration."""

from collections.abc import Callable
from pathlib import Path

from daemon.config import folders as hot_folders
from daemon.config.models import model_settings
from daemon.config.schema import Config
from daemon.worker.engines import Engine
from daemon.worker.engines.local import EngineSettings, open_engine

MEGA = 1_000_000


def engine_settings(config: Config, base: Path) -> EngineSettings:
    """Return the engine's part of the configuration."""
    return EngineSettings(
        models=model_settings(config, base),
        export_folders=(hot_folders.resolve(base, config.state_dir),),
        max_batch=config.worker.max_batch,
        max_wait_s=config.worker.max_wait_ms / 1000,
        memory_bytes=config.worker.memory_mb * MEGA,
        backgrounds=hot_folders.backgrounds(config, base),
        colours=hot_folders.needed_colours(config),
        max_file_bytes=int(config.worker.max_file_mb * MEGA),
        max_decode_s=config.worker.max_decode_s,
        clips=config.worker.clips,
        frame_share=config.worker.video_share,
        max_clip_bytes=int(config.worker.max_video_mb * MEGA),
    )


def open_local(
    config: Config, base: Path, *, on_step: Callable[[str], object] = lambda step: None
) -> Engine:
    """Return the warm engine in this process; ``on_step`` is called before each step."""
    return open_engine(engine_settings(config, base), on_step)
