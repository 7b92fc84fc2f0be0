"""A share goes down while the daemon lives: nothing comes out twice or stays half made."""

from pathlib import Path
from typing import Any

import pytest

from daemon.disk import store
from daemon.errors import Blame
from daemon.jobs import Failed, State
from tests.lifecycle.test_recovery_shares import die
from tests.service.service_kit import Kit, copy_out, fail_with
from tests.service.share_kit import Share
from tests.system.reaper import Died

BAD = Failed(Blame.FILE, "cannot be decoded", is_final=True)


@pytest.mark.parametrize("originals", ["archive", "delete"])
def test_a_picture_that_was_nearly_rejected_before(tmp_path: Path, originals: str) -> None:
    """Quarantine was away, then it succeeded: the next life finishes it, and rejects nothing."""
    kit = Kit(tmp_path, work=fail_with(BAD), folder={"originals": originals})
    kit.drop("cat.jpg")
    with pytest.MonkeyPatch.context() as patch:
        share = Share(tmp_path / "failed", patch)
        explain = store.explain

        def go_down_and_explain(*arguments: Any) -> None:  # Any: passed on as they are
            share.is_down = True
            explain(*arguments)

        patch.setattr(store, "explain", go_down_and_explain)
        kit.pass_time(15, step_s=1)
    [job] = kit.records.in_state(State.QUEUED)
    assert job.quarantine is not None
    kit.work = copy_out  # as after an update
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kit.service.parts.completion.closing, "finish", die)
        with pytest.raises(Died):
            kit.pass_time(60, step_s=1)
    kit.restart()
    kit.pass_time(3)

    assert kit.records.counts() == {"hot": {"done": 1}}
    assert "cat.png" in kit.results()
    assert list((tmp_path / "failed").rglob("*.*")) == []
