"""Warnings about a result reach people: in the log, in `why`, and in what `cut` says."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.commands.cut import complete
from daemon.jobs import Confidence, Done, Identity, Outcome, Task
from tests.commands.test_cut import finished
from tests.commands.test_why import answer
from tests.service.service_kit import Kit, copy_out

FRAMES = "has several frames or pages; only the first is used"
DOUBTFUL = Confidence(0.2, {}, {}, (), ("much of it is half transparent",))


def warn(task: Task) -> Outcome:
    """A worker that has something to say."""
    done = copy_out(task)
    assert isinstance(done, Done)
    return replace(done, warnings=(FRAMES, "second\n"), confidence=DOUBTFUL)


def test_log_and_why_name_them(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """With the place of the copy for review; control characters are escaped."""
    caplog.set_level(logging.INFO)
    kit = Kit(tmp_path, work=warn)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    [drop] = kit.drops()

    text = f"done {drop}/cat.png ({FRAMES}; second\\n; for review also {drop}/review/cat.png)"
    assert text in caplog.text
    assert f"; warnings: {FRAMES}; second\\n" in answer(tmp_path, kit.hot / "cat.jpg")


def test_result_without_warnings(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """Its lines end as they did."""
    caplog.set_level(logging.INFO)
    kit = Kit(tmp_path)
    kit.drop("cat.jpg")
    kit.pass_time(3)

    assert f"done {kit.drops()[0]}/cat.png\n" in caplog.text
    assert "; warnings" not in answer(tmp_path, kit.hot / "cat.jpg")


@pytest.mark.parametrize(("below", "is_doubtful"), [(0.0, False), (0.5, True)])
def test_cut_returns_them(tmp_path: Path, below: float, is_doubtful: bool):
    """There is no folder for review, so the doubt is said."""
    done = Done(Identity(1, 2, 3, 4), 4, 3, {}, (FRAMES,), confidence=DOUBTFUL)
    result = complete(replace(finished(tmp_path, done), review_below=below))

    doubt = "have a look at it, its confidence is only 0.20 (much of it is half transparent)"
    assert result.warnings == ((FRAMES, doubt) if is_doubtful else (FRAMES,))
