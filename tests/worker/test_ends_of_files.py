"""The worker takes a picture without its end if it is old; a young one has to wait."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvunet.pictures.reading import UNFINISHED
from daemon.errors import Blame
from daemon.jobs import Done, Failed, Outcome, Task
from daemon.worker.children.pool import ChildPool
from daemon.worker.decoding import Decoder, DecoderHere
from daemon.worker.gauges import Limits
from daemon.worker.lanes import ServedModel
from daemon.worker.worker import Worker
from tests.pictures import pictures_kit as kit
from tests.samples import RENDERING
from tests.worker.test_worker_batch import Choosy

NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8))
LIMITS = Limits(max_batch=1, max_wait_s=0.0, decoders=1, finishers=1, memory_bytes=10**9)
WHOLE = kit.file_of(NOISE, "JPEG")


def outcome(decoder: Decoder, source: Path, *, is_old: bool) -> Outcome:
    """What the worker says of one file."""
    task = Task("1", source, source.with_suffix(".part"), RENDERING, 10**6)
    worker = Worker({"": ServedModel([Choosy()])}, LIMITS, decoder=decoder)  # type: ignore[list-item]
    try:
        return worker.submit(dataclasses.replace(task, is_old=is_old)).result(60)
    finally:
        worker.close()


def decoder_of(kind: str) -> Decoder:
    """Both ways."""
    return DecoderHere() if kind == "here" else ChildPool(1, max_decode_s=30.0)


@pytest.mark.parametrize("kind", ["here", "child"])
def test_old_picture_without_its_end_is_done(kind: str, tmp_path: Path):
    """With a warning for the manifest."""
    source = tmp_path / "cat.jpg"
    source.write_bytes(WHOLE[:-2])
    found = outcome(decoder_of(kind), source, is_old=True)

    assert isinstance(found, Done), found
    assert UNFINISHED in found.warnings


@pytest.mark.parametrize("kind", ["here", "child"])
def test_young_picture_without_its_end_waits(kind: str, tmp_path: Path):
    """It is no picture that is refused for ever."""
    source = tmp_path / "cat.jpg"
    source.write_bytes(WHOLE[:-2])
    found = outcome(decoder_of(kind), source, is_old=False)

    assert isinstance(found, Failed)
    assert (found.blame, found.is_unfinished) == (Blame.FILE, True)
    assert found.reason.startswith(UNFINISHED)


def test_picture_that_lacks_pixels_is_refused_at_any_age(tmp_path: Path):
    """There is nothing to wait for."""
    source = tmp_path / "cat.jpg"
    source.write_bytes(WHOLE[:-40])
    found = outcome(DecoderHere(), source, is_old=True)

    assert isinstance(found, Failed)
    assert not found.is_unfinished
    assert "truncated or damaged" in found.reason


def test_young_picture_with_its_end_is_done_at_once(tmp_path: Path):
    """It does not wait for anything."""
    source = tmp_path / "cat.jpg"
    source.write_bytes(WHOLE)

    assert isinstance(outcome(DecoderHere(), source, is_old=False), Done)
