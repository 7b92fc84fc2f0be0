"""Pictures that a client waits for do not wait for all uploads; and uploads do not starve."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest

from daemon.jobs import Identity
from daemon.ledger.ledger import Ending
from daemon.web.pictures import Pictures
from tests.web.web_kit import PATIENCE_S, Kit, picture, running, wait_for

pytestmark = pytest.mark.web


def test_a_client_that_waits_overtakes_uploads(tmp_path: Path):
    """With 30 uploads in the queue, its picture is among the next two."""
    kit = Kit(tmp_path, is_held=True, depth=1)
    with running(kit):
        ids = [kit.upload(b"%d" % number, name=f"{number}.jpg") for number in range(30)]
        assert wait_for(lambda: kit.state(ids[-1]) == "queued")
        answers: list[httpx.Response] = []
        url = f"{kit.server.url}/api/v1/cutouts?name=urgent.png"
        client = threading.Thread(
            target=lambda: answers.append(httpx.post(url, content=picture(), timeout=PATIENCE_S))
        )
        client.start()
        assert wait_for(lambda: kit.client.get("/api/v1/status").json()["queued"] >= 30)
        done = 0
        while client.is_alive():
            if kit.engine.held:
                kit.engine.run_held()
                done += 1
            client.join(0.05)
        before = [task.source.name for task in kit.tasks].index("urgent.png")
        kit.engine.is_held = False

        def is_done(upload_id: str) -> bool:
            kit.engine.run_held()  # also what is held only now: it was submitted just before
            return kit.state(upload_id) == "done"

        for upload_id in ids:
            assert wait_for(partial(is_done, upload_id)), upload_id

    assert answers[0].status_code == 200
    assert before <= 3, [task.source.name for task in kit.tasks]


def test_what_is_waited_for_has_a_line_of_its_own(tmp_path: Path):
    """By a bit of its mode; so lines take turns, and neither starves."""
    path = tmp_path / "a"
    path.touch()
    plain = Identity.of(path.stat())
    path.chmod(0o1660)
    waited = Identity.of(path.stat())

    assert plain is not None
    assert waited is not None
    assert plain.owner >= 0
    assert waited.owner < -1
    assert plain == waited


def test_rows_are_read_only_after_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """While a picture is in work nothing changes in the ledger, and nothing is asked of it."""
    kit = Kit(tmp_path, is_held=True)
    asked: list[str] = []
    with running(kit):
        pictures_ending = Pictures.ending

        def ending(self: Pictures, upload_id: str) -> Ending | None:
            asked.append(upload_id)
            return pictures_ending(self, upload_id)

        monkeypatch.setattr(Pictures, "ending", ending)
        url = f"{kit.server.url}/api/v1/cutouts"
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(httpx.post, url, content=picture(), timeout=PATIENCE_S)
            assert wait_for(lambda: kit.engine.held)
            time.sleep(0.5)
            before = len(asked)
            time.sleep(0.5)
            beyond = len(asked) - before
            kit.engine.run_held()
            assert answer.result().status_code == 200

    assert beyond <= 3  # the drop's manifest may be committed meanwhile; without: 50
