"""Several models in one worker: each picture goes to the one that its task names."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cvunet.errors import CvunetError
from daemon.errors import InstallError
from daemon.jobs import Done, Failed
from daemon.worker import host_memory
from daemon.worker.gauges import Limits
from daemon.worker.host_memory import ALLOWANCE_BYTES, LEAST_FOR_PICTURES
from daemon.worker.lanes import ServedModel
from daemon.worker.worker import Worker
from tests.worker.test_worker_batch import Choosy, task

__all__ = ["task"]

LIMITS = Limits(max_batch=4, max_wait_s=0.0, decoders=2, finishers=1, memory_bytes=10**8)


class Everything(Choosy):
    """A model that finds everything to be the subject."""


class Nothing(Choosy):
    """A model that finds no subject."""

    def predict(self, batch: Any) -> Any:
        """Transparent."""
        self.batches.append(len(batch))
        return [np.zeros(small.shape[:2], np.float32) for small in batch]


class Broken(Choosy):
    """A model whose answers are no numbers."""

    def predict(self, batch: Any) -> Any:
        """As the library says it."""
        raise CvunetError("the network's answer is not a number: are its weights sound?")


def served(**predictors: Any) -> Worker:
    """A worker with these models, in this order."""
    models = {
        name: ServedModel([one], sha256=f"hash of {name}", settings={"name": name})
        for name, one in predictors.items()
    }
    return Worker(models, LIMITS)


def opacity(part: Path) -> int:
    """The alpha of a result's middle."""
    with Image.open(part) as image:
        return int(np.asarray(image)[4, 4, 3])


def test_each_task_goes_to_its_model(task: Any):
    """Without a name to the first; the manifest gets the hash of the model that was used."""
    worker = served(first=Everything(), second=Nothing())
    tasks = [task(1), replace(task(2), model="second"), replace(task(3), model="first")]
    outcomes = [worker.submit(one).result(30) for one in tasks]
    worker.close()

    assert [opacity(one.part) for one in tasks] == [255, 0, 255]
    assert all(isinstance(outcome, Done) for outcome in outcomes)
    done = [outcome for outcome in outcomes if isinstance(outcome, Done)]
    assert [one.weights for one in done] == ["hash of first", "hash of second", "hash of first"]
    assert done[0].settings == done[2].settings != done[1].settings


def test_batches_are_of_one_model(task: Any):
    """Pictures of two models are never asked together."""
    first, second = Everything(), Nothing()
    worker = served(first=first, second=second)
    tasks = [replace(task(10 + n), model=("first", "second")[n % 2]) for n in range(8)]
    futures = [worker.submit(one) for one in tasks]
    assert all(isinstance(future.result(30), Done) for future in futures)
    worker.close()

    assert (sum(first.batches), sum(second.batches)) == (4, 4)


def test_answers_that_are_no_numbers_fail_their_picture_alone(task: Any):
    """The daemon goes on, and so does the other model."""
    worker = served(broken=Broken(), sound=Everything())
    failed = [worker.submit(task(level)).result(30) for level in range(1, 6)]
    done = worker.submit(replace(task(9), model="sound")).result(30)
    worker.close()

    assert all(isinstance(one, Failed) and "not a number" in one.reason for one in failed)
    assert isinstance(done, Done)


def test_depth_is_that_of_one_model(task: Any):
    """All pictures may be for the same one; more would only wait inside."""
    alone, both = served(first=Everything()), served(first=Everything(), second=Nothing())
    depths = alone.depth, both.depth
    alone.close()
    both.close()

    assert depths[0] == depths[1] == 2 * 4 + 2


def test_what_models_take_beyond_the_allowance_is_taken_off():
    """`worker.memory_mb` bounds all of it together."""
    left = host_memory.left_for_pictures

    assert left(10**9, ALLOWANCE_BYTES) == 10**9
    assert left(10**9, ALLOWANCE_BYTES + 10**8) == 9 * 10**8


def test_models_that_leave_no_memory_end_the_start():
    """The message says what number would do."""
    taken = ALLOWANCE_BYTES + 10**9
    with pytest.raises(InstallError, match=r"the models take 1400 MB, .* set it to (\d+)") as told:
        host_memory.left_for_pictures(10**9, taken)
    needed = int(str(told.value).split("set it to ")[1].split()[0])

    assert host_memory.left_for_pictures(needed * 10**6, taken) >= LEAST_FOR_PICTURES


def test_model_larger_than_the_machine_is_refused_before_it_is_loaded(tmp_path: Path):
    """Else the kernel ends the process, at every start."""
    file = tmp_path / "huge.onnx"
    with file.open("wb") as stream:
        stream.truncate(10**9)  # a hole
    host_memory.check_fits(file, 3 * 10**9)
    host_memory.check_fits(file, None)
    with pytest.raises(InstallError, match="takes 2000 MB at least, and 1000 MB of memory are"):
        host_memory.check_fits(file, 10**9)


def test_free_memory_is_the_least_of_machine_and_control_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """systemd's MemoryMax= counts, where there is one."""
    meminfo, own = tmp_path / "meminfo", tmp_path / "own"
    meminfo.write_text("MemTotal: 9000 kB\nMemAvailable: 4000 kB\n")
    own.write_text("0::/unit\n")
    (tmp_path / "unit").mkdir()
    (tmp_path / "unit/memory.max").write_text("max\n")
    (tmp_path / "unit/memory.current").write_text("1000000\n")
    for name, path in (("MEMINFO", meminfo), ("OWN_CGROUP", own), ("CGROUP", tmp_path)):
        monkeypatch.setattr(host_memory, name, path)
    without = host_memory.available_bytes()
    (tmp_path / "unit/memory.max").write_text("3000000\n")

    assert (without, host_memory.available_bytes()) == (4000 * 1024, 2_000_000)


@pytest.mark.parametrize(
    ("current", "stat", "available"),
    [
        (2_900_000, "anon 400000\nfile 2500000\nshmem 500000\n", 100_000),
        (2_900_000, "file 2500000\ninactive_file 1500000\nactive_file 500000\n", 2_100_000),
        (2_900_000, "inactive_file 1500000\nactive_file\nworkingset 1 2\n", 1_600_000),
        (2_900_000, "inactive_file many\n", 100_000),
        (2_900_000, None, 100_000),
        (1_000, "inactive_file 900000\nactive_file 0\n", 3_000_000),
    ],
)
def test_files_that_the_kernel_keeps_in_memory_are_free(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    current: int,
    stat: str | None,
    available: int,
):
    """They fill a control group sooner or later; what lies on tmpfs (`file`) cannot be given up."""
    own, unit = tmp_path / "own", tmp_path / "unit"
    own.write_text("0::/unit\n")
    unit.mkdir()
    (unit / "memory.max").write_text("3000000\n")
    (unit / "memory.current").write_text(f"{current}\n")
    if stat is not None:
        (unit / "memory.stat").write_text(stat)
    monkeypatch.setattr(host_memory, "OWN_CGROUP", own)
    monkeypatch.setattr(host_memory, "CGROUP", tmp_path)

    assert host_memory.group_bytes() == available
