"""Events of a real service, as hooks are told of them."""

import json
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import Blame, LedgerError
from daemon.jobs import Done, Failed, Outcome, Task
from daemon.ledger.database import Database
from daemon.messages import Stop
from daemon.notices import TemporaryFailure
from tests.hooks.hooks_kit import Ears, join
from tests.service.service_kit import Kit, copy_out, fail_with

HOOKS = {event: [{"command": ["true"]}] for event in ("on_done", "on_failed", "on_drop_closed")}


def kit(base: Path, ears: Ears, **options: Any) -> Kit:  # Any: of the kit
    """A service with a hook for each event."""
    settings = {"hooks": HOOKS, "output": {"drop_idle_s": 5}} | options.pop("settings", {})
    return Kit(base, open_sender=ears, settings=settings, **options)


def serve(kit: Kit, seconds: float = 4.0) -> None:
    """Time goes by, and hooks are told."""
    kit.pass_time(seconds)
    join(kit)


def told(ears: Ears, event: str) -> list[dict[str, Any]]:  # Any: JSON
    """What the hook of an event was told."""
    ear = ears.by_key.get(f"on_{event}:true")
    return [] if ear is None else ear.payloads


@pytest.fixture
def ears() -> Ears:
    """Listeners that accept everything."""
    return Ears()


# --- what is told --------------------------------------------------------------------------


def test_done(tmp_path: Path, ears: Ears):
    """Where everything lies, by absolute paths, and what the manifest tells."""
    service = kit(tmp_path, ears)
    service.drop("sub/cat.jpg")
    serve(service)

    [drop] = service.drops()
    [payload] = told(ears, "done")
    assert payload["event"] == "done"
    assert payload["version"] == 1
    assert (payload["folder"], payload["source"]) == ("hot", "sub/cat.jpg")
    assert payload["time"].startswith("2027-01-15T08:00:0")
    assert payload["drop"] == str(drop)
    assert payload["result"] == str(drop / "sub/cat.png")
    assert Path(payload["result"]).read_bytes() == b"picture"
    assert Path(payload["original"]).read_bytes() == b"picture"
    assert (payload["alpha"], payload["review"]) == (None, None)
    assert payload["seconds"] == {"decode": 0.1}
    assert payload["warnings"] == []
    assert payload["id"].startswith(f"done-{payload['job']}-1800000")


@pytest.mark.parametrize("originals", ["keep", "delete"])
def test_original_of_what_is_done(tmp_path: Path, ears: Ears, originals: str):
    """Where it was dropped, or nowhere."""
    service = kit(tmp_path, ears, folder={"originals": originals})
    path = service.drop("cat.jpg")
    serve(service)

    [payload] = told(ears, "done")
    assert payload["original"] == (str(path) if originals == "keep" else None)


@pytest.mark.parametrize("originals", ["archive", "keep"])
def test_failed(tmp_path: Path, ears: Ears, originals: str):
    """Why, and where the picture lies now."""
    failed = Failed(Blame.FILE, "cannot be decoded", is_final=True)
    service = kit(tmp_path, ears, work=fail_with(failed), folder={"originals": originals})
    path = service.drop("bad.jpg")
    serve(service)

    [payload] = told(ears, "failed")
    assert payload["event"] == "failed"
    assert payload["reason"] == "cannot be decoded"
    assert payload["attempts"] == 1
    quarantine = tmp_path / "failed/hot/bad.jpg"
    assert payload["original"] == str(path if originals == "keep" else quarantine)
    assert Path(payload["original"]).exists()
    assert "result" not in payload
    assert told(ears, "done") == []


def test_another_try_is_no_event(tmp_path: Path, ears: Ears):
    """The last word alone is told."""
    service = kit(tmp_path, ears, work=fail_with(Failed(Blame.UNKNOWN, "odd")))
    service.drop("a.jpg")
    serve(service, 60)

    [payload] = told(ears, "failed")
    assert payload["attempts"] == 3


def test_drop_closed(tmp_path: Path, ears: Ears):
    """Its manifest is final by then."""
    service = kit(tmp_path, ears)
    service.drop("a.jpg")
    service.drop("b.jpg")
    serve(service, 12)

    [drop] = service.drops()
    [payload] = told(ears, "drop_closed")
    assert payload["drop"] == str(drop)
    assert (payload["done"], payload["failed"]) == (2, 0)
    manifest = json.loads(Path(payload["manifest"]).read_text())
    assert manifest["closed_at"] == payload["time"]
    assert len(manifest["pictures"]) == 2


def test_closed_drop_that_was_moved(tmp_path: Path, ears: Ears):
    """A link was left in its place: none is followed, but the event is told."""
    service = kit(tmp_path, ears)
    service.drop("a.jpg")
    serve(service, 4)
    [drop] = service.drops()
    drop.rename(tmp_path / "elsewhere")
    drop.symlink_to(tmp_path / "elsewhere")
    serve(service, 12)

    [payload] = told(ears, "drop_closed")
    assert payload["manifest"] is None


def test_names_that_are_no_text(tmp_path: Path, ears: Ears):
    """Escaped as in the manifest; JSON that every program reads."""
    service = kit(tmp_path, ears)
    service.drop(Path(os.fsdecode(b"\xff\n.jpg")))
    serve(service)

    [payload] = told(ears, "done")
    assert payload["source"] == "\\xff\n.jpg"


def test_events_bring_their_notices_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A picture costs as many commits with hooks as without, but for the answers."""
    commits: list[str] = []
    transaction = Database.transaction

    def counted(database: Database) -> Any:
        commits.extend([] if database.is_in_transaction() else ["commit"])
        return transaction(database)

    monkeypatch.setattr(Database, "transaction", counted)
    counts = []
    for number, hooks in enumerate(({}, HOOKS)):
        base = tmp_path / str(number)
        base.mkdir()
        ears = Ears()
        service = kit(base, ears, settings={"hooks": hooks})
        deafen(service)
        commits.clear()
        service.drop("a.jpg")
        service.pass_time(4)
        counts.append(len(commits))
        assert sum(service.service.parts.outbox.counts().values()) == number

    assert counts[0] == counts[1]


def deafen(kit: Kit) -> None:
    """Nobody is told anything in this life."""
    kit.service.parts.hook_delivery.run_once = lambda **times: None  # type: ignore[method-assign]


# --- whatever happens ----------------------------------------------------------------------


def test_death_between_finish_and_telling(tmp_path: Path, ears: Ears):
    """The row is done, nobody was told: the next life tells."""
    service = kit(tmp_path, ears)
    service.drop("a.jpg")
    deafen(service)
    service.pass_time(4)
    assert service.results() == ["a.png", "originals/a.jpg"]
    service.restart()
    serve(service, 1)

    assert len(told(ears, "done")) == 1


def test_death_between_telling_and_forgetting(tmp_path: Path, ears: Ears):
    """Told twice, under one id."""
    service = kit(tmp_path, ears)
    service.drop("a.jpg")
    service.service.parts.hook_delivery.close_answered = lambda **times: None  # type: ignore[method-assign]
    service.pass_time(3)
    join_sending_threads(service)
    service.restart()
    serve(service, 1)

    first, second = told(ears, "done")
    assert first == second


def join_sending_threads(kit: Kit) -> None:
    """Wait for the threads; nobody hears of them."""
    for channel in kit.service.parts.hook_delivery.channels.values():
        channel.sending_thread.join(10)


def test_ledger_in_trouble(tmp_path: Path, ears: Ears, monkeypatch: pytest.MonkeyPatch):
    """Answers are kept, and nothing is begun, until it can be written again."""
    service = kit(tmp_path, ears)
    service.drop("a.jpg")
    outbox = service.service.parts.outbox

    def fail(**notices: object) -> None:
        raise LedgerError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "record_answers", fail)
        service.service.parts.standby.check_ledger = fail
        service.pass_time(3)
        join_sending_threads(service)
        service.pass_time(1)
        assert service.service.parts.ledger_outage.is_on
        assert outbox.counts() == {"on_done:true": 1}
    service.service.parts.standby.check_ledger = service.service.parts.ledger.check_writable
    serve(service, 30)

    assert len(told(ears, "done")) == 1
    assert "on_done:true" not in outbox.counts()


def test_listener_in_trouble_harms_no_picture(tmp_path: Path, ears: Ears):
    """Its notices wait, pictures come out."""
    service = kit(tmp_path, ears)
    ears.by_key["on_done:true"].answers = lambda notice: TemporaryFailure("down")
    for number in range(20):
        service.drop(f"{number}.jpg")
    serve(service)

    assert len(service.results()) == 40
    snapshot = service.service.snapshot()
    assert snapshot.hooks["on_done:true"].waiting == 20
    assert snapshot.hooks["on_done:true"].last_error == "down"


def test_stop_tells_at_last(tmp_path: Path, ears: Ears, caplog: pytest.LogCaptureFixture):
    """What ended in the drain, too."""
    caplog.set_level(logging.INFO)
    service = kit(tmp_path, ears)
    service.drop("a.jpg")
    service.pass_time(2)
    service.inbox.put(Stop(15))
    service.service.tick(0)
    service.service.shutdown()

    assert len(told(ears, "done")) == 1
    assert service.service.parts.outbox.counts() == {}


def test_retold_failure_has_another_id(tmp_path: Path, ears: Ears):
    """The same picture may fail once more, after a retry: that is another event."""
    service = kit(tmp_path, ears, work=fail_with(Failed(Blame.FILE, "bad", is_final=True)))
    service.drop("a.jpg")
    serve(service)
    service.drop("a.jpg")
    serve(service)

    first, second = told(ears, "failed")
    assert first["id"] != second["id"]


def test_fault_in_what_is_told_harms_no_picture(
    tmp_path: Path, ears: Ears, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """It would end the process, and the next one, for ever."""
    service = kit(tmp_path, ears)
    monkeypatch.setattr("daemon.hooks.payload.of_job", lambda ending, drop: [].pop())
    service.drop("a.jpg")
    serve(service)

    assert service.results() == ["a.png", "originals/a.jpg"]
    assert [record.exc_info is not None for record in caplog.records if record.exc_info] == [True]


def test_half_a_character_is_escaped(tmp_path: Path, ears: Ears):
    """A library may warn with what it has read in a file."""

    def warn(task: Task) -> Outcome:
        done = copy_out(task)
        assert isinstance(done, Done)
        return replace(done, warnings=("odd: \udcff \ud800",))

    service = kit(tmp_path, ears, work=warn)
    service.drop("a.jpg")
    serve(service)

    [payload] = told(ears, "done")
    assert payload["warnings"] == ["odd: \udcff \ud800"]
