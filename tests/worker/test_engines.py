"""What every engine promises for a task: in this process, and in an actor of Ray's."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from daemon.errors import Blame
from daemon.jobs import Done, Failed, Identity, Opinion, SecondLook, Task
from daemon.worker.engines import Engine
from tests.samples import RENDERING
from tests.system.daemon_process import wait_for
from tests.worker.engine_kit import opacity
from tests.worker.test_second_opinions import hash_of, score
from tests.worker.test_worker_batch import POISON, task

__all__ = ["task"]

Make = Callable[[int], Task]


def outcomes(engine: Engine, tasks: list[Task]) -> list[Any]:  # Any: outcomes, asked by their kind
    """What becomes of tasks that are submitted together."""
    return [future.result(60) for future in [engine.submit(one) for one in tasks]]


def test_picture_is_cut_out(engine: Engine, task: Make):
    """The part is whole, and the outcome names the version that was read."""
    made = task(90)
    [done] = outcomes(engine, [made])

    assert isinstance(done, Done)
    assert done.identity == Identity.of(made.source.stat())
    assert (done.width, done.height) == (8, 8)
    assert done.sha256 == hashlib.sha256(made.source.read_bytes()).hexdigest()
    assert made.part.exists()
    assert set(done.seconds) == {"decode", "network", "judge", "finish", "encode"}


def test_each_task_goes_to_its_model(engine: Engine, task: Make):
    """The manifest gets the hash of the model that was used."""
    tasks = [replace(task(1), model="choosy"), replace(task(2), model="nothing")]
    found = outcomes(engine, tasks)

    assert [one.weights for one in found] == [hash_of("choosy"), hash_of("nothing")]
    assert [opacity(one.part) for one in tasks] == [255, 0]


def test_bad_picture_fails_alone(engine: Engine, task: Make):
    """Its neighbours in the batch come out."""
    levels = (1, 2, POISON, 3, 4)
    found = outcomes(engine, [replace(task(level), model="choosy") for level in levels])

    assert [type(one) for one in found] == [Done, Done, Failed, Done, Done]
    assert found[2].blame is Blame.UNKNOWN


def test_broken_file_is_to_blame(engine: Engine, task: Make):
    """Also if it is the share that carries it to another machine."""
    broken = task(9)
    os.truncate(broken.source, 40)
    [failed] = outcomes(engine, [broken])

    assert isinstance(failed, Failed)
    assert failed.blame is Blame.FILE


def test_picture_that_is_gone_is_not_the_machines_fault(engine: Engine, task: Make):
    """It is gone here, too."""
    gone = task(9)
    gone.source.unlink()
    [failed] = outcomes(engine, [gone])

    assert isinstance(failed, Failed)
    assert (failed.blame, failed.reason) == (Blame.FILE, "the original vanished before it was read")


def test_folder_that_is_gone_is_the_machines_fault(engine: Engine, task: Make, tmp_path: Path):
    """For results; the service looks at it."""
    made = replace(task(9), part=tmp_path / "away" / "9.part")
    [failed] = outcomes(engine, [made])

    assert isinstance(failed, Failed)
    assert failed.blame in (Blame.UNSURE, Blame.MACHINE)


def test_answer_that_is_no_number_fails_its_picture(engine: Engine, task: Make):
    """The worker goes on."""
    found = outcomes(engine, [replace(task(1), model="broken"), task(2)])

    assert "not a number" in found[0].reason
    assert isinstance(found[1], Done)


def test_mask_comes_beside_the_result(engine: Engine, task: Make, tmp_path: Path):
    """Both parts are there."""
    made = replace(
        task(3),
        alpha_part=tmp_path / "3-alpha.part",
        rendering=replace(RENDERING, content="both"),
        model="choosy",
    )
    [done] = outcomes(engine, [made])

    assert isinstance(done, Done)
    with Image.open(tmp_path / "3-alpha.part") as mask:
        assert mask.mode == "L"
    assert opacity(made.part) == 255


def test_touch_up_is_laid_over(engine: Engine, task: Make, tmp_path: Path):
    """A person's mask decides, whatever the model says."""
    painted = tmp_path / "painted.png"
    mask = Image.new("LA", (8, 8), (0, 255))
    mask.putpixel((0, 0), (0, 0))
    mask.save(painted)
    named = painted.rename(tmp_path / f"{hashlib.sha256(painted.read_bytes()).hexdigest()}.png")
    made = replace(task(3), model="choosy", touch_ups=(named,))
    [done] = outcomes(engine, [made])

    assert isinstance(done, Done)
    assert done.touch_ups == 1
    assert opacity(made.part) == 0


def test_second_model_is_asked(engine: Engine, tmp_path: Path):
    """The better of both masks becomes the result."""
    source = tmp_path / "cat.png"
    Image.fromarray(np.full((40, 40, 3), 9, np.uint8)).save(source)
    made = Task("cat", source, tmp_path / "cat.part", RENDERING, 10**6)
    made = replace(made, model="unsure", second=SecondLook("large", 0.65))
    [done] = outcomes(engine, [made])

    assert isinstance(done, Done)
    assert done.opinions == (Opinion("unsure", score(0.6)), Opinion("large", score(1)))


def test_work_is_counted(engine: Engine, task: Make):
    """By device; nothing is inside when all is done."""
    before = sum(load.pictures for load in engine.load.values())
    outcomes(engine, [replace(task(level), model="choosy") for level in (1, 2, 3)])

    assert wait_for(
        lambda: sum(load.pictures for load in engine.load.values()) >= before + 3, patience_s=20
    )
    assert wait_for(lambda: not any(engine.inside.values()), patience_s=20)
    assert engine.depth >= 2
    assert list(engine.stalled(0.0, patience_s=60.0)) == []
