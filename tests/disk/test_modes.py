"""Who may see what the daemon makes, whatever the umask that it was started with."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.errors import Blame
from daemon.jobs import Confidence, Done, Failed, Outcome, Task
from tests.service.service_kit import Kit, copy_out


@pytest.fixture(params=[0o000, 0o022])
def open_umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """That of a person's shell."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def work(task: Task) -> Outcome:
    """A picture that comes out, one that does not, one to be looked at."""
    if "bad" in task.source.name:
        return Failed(Blame.FILE, "none", is_final=True)
    done = copy_out(task)
    assert isinstance(done, Done)
    doubtful = Confidence(0.1, {}, {}, (), ("odd",))
    return Done(done.identity, 4, 3, {}, confidence=doubtful)


@pytest.mark.usefixtures("open_umask")
def test_others_see_nothing(tmp_path: Path):
    """Files 0640 or less, folders 0750 or less; pictures of users keep their own modes."""
    kit = Kit(tmp_path, work=work, settings={"output": {"review": {"below": 0.5}}})
    for name in ("cat.jpg", "sub/dog.jpg", "bad.jpg"):
        kit.drop(name)
    kit.pass_time(60, step_s=2)
    tops = [tmp_path / name for name in ("state", "outputs", "failed")]
    made = [path for top in tops for path in top.rglob("*") if path.suffix not in (".jpg", ".png")]
    made += list((kit.hot / ".cvunetd").rglob("*"))
    open_ones = {
        str(path.relative_to(tmp_path)): oct(stat.S_IMODE(path.stat().st_mode))
        for path in made
        if path.stat().st_mode & 0o027 & ~(0o050 if path.is_dir() else 0o040)
    }
    kit.die()

    assert len(made) > 10
    assert open_ones == {}


@pytest.mark.usefixtures("open_umask")
def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path):
    """And what is made in it keeps its group, if it says so (setgid)."""
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs").chmod(0o2775)
    kit = Kit(tmp_path)
    kit.drop("cat.jpg")
    kit.pass_time(5)
    [drop] = kit.drops()
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (drop.parent, drop)]
    kit.die()

    assert modes == [0o2775, 0o2750]
