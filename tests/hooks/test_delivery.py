"""Outbox and sending threads, with clocks to step and listeners that need no process."""

import itertools
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from daemon import event_ids
from daemon.hooks.delivery import BATCH, LONGEST_WAIT_S, MAX_RETRY_AFTER_S, HookDelivery
from daemon.hooks.outbox import Outbox
from daemon.hooks.sending_thread import SendingThread
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.notices import (
    Accepted,
    Answered,
    Command,
    Hook,
    Interrupted,
    Notice,
    PermanentFailure,
    Reply,
    Subscriptions,
    TemporaryFailure,
)
from tests.hooks.hooks_kit import Ears
from tests.samples import NOW

HOOK = Hook("on_done", "ear", Command(("/bin/true",)))
OTHER = Hook("on_done", "other", Command(("/bin/true",)))


@dataclass
class Bench:
    """A herald, its listeners, and its time."""

    base: Path
    hooks: tuple[Hook, ...] = (HOOK,)
    seconds: float = 0.0
    ears: Ears = field(default_factory=Ears)
    put: list[Answered] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.base / "ledger.db")
        self.outbox = Outbox(self.ledger, Records(self.ledger), Subscriptions(self.hooks))
        self.hook_delivery = HookDelivery(
            self.outbox, put=self.put.append, open_sender=self.ears, jitter=lambda: 1.0
        )

    def happen(self, *numbers: int) -> None:
        """Some events."""
        for number in numbers:
            self.outbox.add({"event": "done", "id": f"done-{number}"}, NOW + self.seconds)

    def turn(self) -> None:
        """Once; then everything that was begun is told, but not heard yet."""
        self.hook_delivery.run_once(monotonic=100 + self.seconds, now=NOW + self.seconds)
        for channel in self.hook_delivery.channels.values():
            channel.sending_thread.join(50)
        for told in self.put:
            self.hook_delivery.note_reply(told)
        self.put.clear()

    def wait(self, seconds: float, *, step_s: float = 1.0) -> None:
        """Time goes by, with a turn in each step."""
        for _ in range(round(seconds / step_s)):
            self.turn()
            self.seconds += step_s
        self.turn()

    def answer(self, *replies: Reply, key: str = HOOK.key) -> None:
        """What a listener says from now on; the last of it for ever."""
        left = list(replies)
        self.ears(self.hook(key)).answers = lambda notice: left.pop(0) if len(left) > 1 else left[0]

    def hook(self, key: str) -> Hook:
        """By its key."""
        return next(hook for hook in self.hooks if hook.key == key)

    def heard(self, key: str = HOOK.key) -> list[str]:
        """What a listener was told, in order."""
        return [notice.event_id for notice in self.ears(self.hook(key)).heard]

    def waiting(self) -> dict[str, int]:
        """What the ledger holds."""
        return self.outbox.counts()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """One hook."""
    bench = Bench(tmp_path)
    yield bench
    bench.ledger.close()


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Bench]:
    """Two hooks of the same event."""
    bench = Bench(tmp_path, hooks=(HOOK, OTHER))
    yield bench
    bench.ledger.close()


def messages(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    """Lines of a level."""
    return [record.getMessage() for record in caplog.records if record.levelno == level]


# --- what is well --------------------------------------------------------------------------


def test_events_are_told_in_order_and_forgotten(bench: Bench):
    """Many of them by one thread, and forgotten in one commit."""
    bench.happen(1, 2, 3)
    bench.turn()
    before = bench.ledger.db.total_changes
    bench.turn()

    assert bench.heard() == ["done-1", "done-2", "done-3"]
    assert bench.waiting() == {}
    assert bench.ledger.db.total_changes - before == 3
    assert bench.hook_delivery.states[HOOK.key].delivered == 3


def test_nothing_waits_nothing_is_asked(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    """An idle daemon leaves its disk alone."""
    bench.turn()
    monkeypatch.setattr(bench.ledger, "rows", lambda *question: pytest.fail("asked"))
    monkeypatch.setattr(bench.ledger, "transaction", lambda: pytest.fail("written"))

    bench.wait(5)


def test_each_hook_is_told(two: Bench):
    """By a thread of its own."""
    two.happen(1, 2)
    two.wait(2)

    assert two.heard(HOOK.key) == two.heard(OTHER.key) == ["done-1", "done-2"]


def test_slow_hook_holds_up_nobody(two: Bench):
    """Neither another hook nor the service."""
    awake = threading.Event()

    def wait(notice: Notice) -> Reply:
        awake.wait(50)
        return Accepted()

    two.ears(HOOK).answers = wait
    two.happen(1)
    two.hook_delivery.run_once(monotonic=100.0, now=NOW)
    two.hook_delivery.channels[OTHER.key].sending_thread.join(50)

    assert two.heard(OTHER.key) == ["done-1"]
    assert two.hook_delivery.channels[HOOK.key].is_busy
    awake.set()
    two.wait(1)
    assert two.waiting() == {}


def test_bag_is_bounded(bench: Bench):
    """What is in memory of a long queue."""
    bench.happen(*range(100))
    bench.turn()

    assert len(bench.heard()) == BATCH
    bench.wait(5)
    assert len(bench.heard()) == 100


# --- trouble -------------------------------------------------------------------------------


def test_trouble_is_tried_again_later_and_later(bench: Bench):
    """Twice as late each time, up to a limit."""
    bench.answer(TemporaryFailure("down"))
    bench.happen(1)
    times: list[float] = []
    for _ in range(2000):
        known = len(bench.heard())
        bench.wait(1)
        if len(bench.heard()) > known:
            times.append(bench.seconds - 1)

    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert [round(wait) for wait in waits[:6]] == [1, 2, 4, 8, 16, 32]
    assert max(waits) <= LONGEST_WAIT_S + 2
    assert bench.hook_delivery.states[HOOK.key].retried == len(times)


def test_all_that_waits_follows_the_first_success(bench: Bench):
    """Nobody has to wait for back-offs that were for a listener who was away."""
    bench.answer(TemporaryFailure("down"), Accepted())
    bench.happen(*range(10))
    bench.wait(3)

    assert bench.waiting() == {}


def test_trouble_ends_the_errand(bench: Bench):
    """A listener that is down is not asked for each notice."""
    bench.answer(TemporaryFailure("down"))
    bench.happen(*range(10))
    bench.turn()

    assert len(bench.heard()) == 1


def test_poisonous_notice_lets_others_by(bench: Bench):
    """One that its listener always stumbles over."""
    ear = bench.ears(HOOK)
    ear.answers = lambda notice: (
        TemporaryFailure("answer 500") if notice.event_id == "done-0" else Accepted()
    )
    for number in range(60):
        bench.happen(number)
        bench.wait(1)

    assert set(bench.heard()) == {f"done-{number}" for number in range(60)}
    assert bench.waiting() == {HOOK.key: 1}
    assert bench.heard().count("done-0") < 10


def test_listener_says_when(bench: Bench):
    """Retry-After, up to an hour."""
    bench.answer(
        TemporaryFailure("busy", retry_after_s=60.0),
        TemporaryFailure("busy", retry_after_s=1e9),
        Accepted(),
    )
    bench.happen(1)
    bench.wait(59)
    early = len(bench.heard())
    bench.wait(3)
    then = len(bench.heard())
    bench.wait(MAX_RETRY_AFTER_S - 10)
    patient = len(bench.heard())
    bench.wait(20)

    assert (early, then, patient, len(bench.heard())) == (1, 2, 2, 3)


def test_refused_is_given_up_at_once(bench: Bench, caplog: pytest.LogCaptureFixture):
    """With a line that alerts can look for."""
    bench.answer(PermanentFailure("answer 404"))
    bench.happen(1)
    bench.wait(1)

    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    text = "hook on_done:ear was not told of done-1, and will not be: answer 404"
    assert record.getMessage() == text
    assert vars(record)["MESSAGE_ID"] == event_ids.HOOK_FAILED
    assert vars(record)["HOOK"] == HOOK.key
    assert bench.waiting() == {}
    state = bench.hook_delivery.states[HOOK.key]
    assert (state.failed, state.last_error, state.last_error_at) == (1, "answer 404", NOW + 1)


def test_given_up_after_a_day(bench: Bench, caplog: pytest.LogCaptureFixture):
    """Nothing waits for ever."""
    bench.answer(TemporaryFailure("down"))
    bench.happen(1)
    bench.wait(86_000, step_s=100)
    before = bench.waiting()
    bench.wait(1000, step_s=100)

    assert (before, bench.waiting()) == ({HOOK.key: 1}, {})
    assert bench.hook_delivery.states[HOOK.key].failed == 1
    assert any("will not be: down" in text for text in messages(caplog, logging.ERROR))


def test_old_notice_gets_its_attempts(bench: Bench):
    """The daemon was down for a week, or the clock has leapt: that is not the listener's fault."""
    bench.happen(1)
    bench.seconds = 7 * 86_400.0
    bench.answer(*[TemporaryFailure("down")] * 4, Accepted())
    bench.wait(60)

    assert bench.hook_delivery.states[HOOK.key].delivered == 1


def test_attempts_at_most(bench: Bench):
    """What hangs is a fault of the notice as likely."""
    bench.answer(TemporaryFailure("hung", max_attempts=3))
    bench.happen(1)
    bench.wait(60)

    assert len(bench.heard()) == 3
    assert bench.hook_delivery.states[HOOK.key].failed == 1


def test_other_failures_do_not_count_as_attempts_that_hung(bench: Bench):
    """A share was away twice; then the program hangs once, because the share comes back slowly."""
    hung = TemporaryFailure("hung", max_attempts=3)
    bench.answer(*[TemporaryFailure("exit status 75")] * 2, hung, hung, Accepted())
    bench.happen(1)
    bench.wait(120)

    assert len(bench.heard()) == 5
    assert bench.hook_delivery.states[HOOK.key].delivered == 1
    assert not bench.hook_delivery.channels[HOOK.key].limited


def test_unforeseen_error_of_a_sender(bench: Bench, caplog: pytest.LogCaptureFixture):
    """Told with its traceback, tried again; the thread's end is not silent."""
    ear = bench.ears(HOOK)

    def stumble(notice: Notice) -> Reply:
        ear.answers = lambda notice: Accepted()
        raise RuntimeError("bug")

    ear.answers = stumble
    bench.happen(1)
    bench.wait(3)

    assert bench.heard() == ["done-1"] * 2
    assert any(record.exc_info for record in caplog.records)
    assert bench.hook_delivery.states[HOOK.key].delivered == 1


def test_no_more_threads(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    """It passes; the service must not end for it."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    bench.happen(1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        bench.hook_delivery.run_once(monotonic=100.0, now=NOW)
    bench.wait(3)

    assert bench.heard() == ["done-1"]


# --- room ----------------------------------------------------------------------------------


def test_too_many_waiting(bench: Bench, caplog: pytest.LogCaptureFixture):
    """The oldest go, counted and told."""
    bench.hook_delivery.change(Subscriptions((HOOK,), max_waiting=3))
    bench.answer(TemporaryFailure("down"))
    bench.happen(*range(10))
    bench.turn()
    bench.answer(Accepted())
    bench.wait(5)

    assert bench.hook_delivery.states[HOOK.key].dropped == 7
    assert bench.heard()[-3:] == ["done-8", "done-9", "done-7"]
    assert any("the oldest 7 are dropped" in text for text in messages(caplog, logging.WARNING))


# --- reload --------------------------------------------------------------------------------


def test_hook_that_is_gone(two: Bench, caplog: pytest.LogCaptureFixture):
    """Its notices are dropped with a word; the other's stay."""
    two.answer(TemporaryFailure("down"), key=HOOK.key)
    two.answer(TemporaryFailure("down"), key=OTHER.key)
    two.happen(1, 2)
    two.wait(1)
    two.hook_delivery.change(Subscriptions((OTHER,)))
    two.turn()

    assert two.waiting() == {OTHER.key: 2}
    assert any(
        "2 notices of hook on_done:ear" in text for text in messages(caplog, logging.WARNING)
    )


def test_hook_with_another_target_gets_what_waits(bench: Bench):
    """The address has been mended: by its name it is the same hook."""
    bench.answer(TemporaryFailure("down"))
    bench.happen(1)
    bench.turn()
    bench.hooks = (Hook("on_done", "ear", Command(("/bin/other",))),)
    bench.hook_delivery.change(Subscriptions(bench.hooks))
    bench.answer(Accepted())
    bench.wait(3)

    assert bench.waiting() == {}
    assert bench.hook_delivery.states[HOOK.key].delivered == 1


def test_changed_hook_waits_for_what_was_begun(bench: Bench):
    """It is not told twice by the two of them."""
    awake = threading.Event()

    def wait(notice: Notice) -> Reply:
        awake.wait(50)
        return Accepted()

    bench.ears(HOOK).answers = wait
    bench.happen(1)
    bench.hook_delivery.run_once(monotonic=100.0, now=NOW)
    old = bench.hook_delivery.channels[HOOK.key].sending_thread
    bench.hooks = (Hook("on_done", "ear", Command(("/bin/other",))),)
    bench.hook_delivery.change(Subscriptions(bench.hooks))
    bench.turn()
    awake.set()
    old.join(50)
    bench.wait(2)

    assert bench.heard() == ["done-1"]
    assert bench.waiting() == {}
    assert bench.hook_delivery.states[HOOK.key].delivered == 1


def test_unchanged_hook_goes_on(bench: Bench):
    """Its back-off and its counts, too."""
    bench.answer(TemporaryFailure("down"))
    bench.happen(1)
    bench.turn()
    sending_thread = bench.hook_delivery.channels[HOOK.key].sending_thread
    bench.hook_delivery.change(Subscriptions((HOOK,), give_up_s=5.0))

    assert bench.hook_delivery.channels[HOOK.key].sending_thread is sending_thread


# --- the end -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clocks:
    """The test's own time."""

    bench: Bench

    @property
    def monotonic(self):
        """Goes on with each look."""
        return self.tick

    @property
    def now(self):
        """Stands still."""
        return lambda: NOW

    def tick(self) -> float:
        """A little later."""
        self.bench.seconds += 0.05
        return 100 + self.bench.seconds


def receive(bench: Bench, seconds: float) -> None:
    """As the service does."""
    for channel in bench.hook_delivery.channels.values():
        channel.sending_thread.join(seconds)
    for told in bench.put:
        bench.hook_delivery.note_reply(told)
    bench.put.clear()


def test_stop_tells_what_waits(bench: Bench):
    """In a moment, that is."""
    bench.happen(1, 2)
    bench.hook_delivery.drain(lambda seconds: receive(bench, seconds), clocks=Clocks(bench))

    assert bench.heard() == ["done-1", "done-2"]
    assert bench.waiting() == {}


def test_stop_interrupts_and_keeps_the_rest(bench: Bench, caplog: pytest.LogCaptureFixture):
    """Nothing is lost, no attempt is counted, and the log says what waits."""
    caplog.set_level(logging.INFO)
    ear = bench.ears(HOOK)

    def hang(notice: Notice) -> Reply:
        ear.aborted.wait(50)
        return Interrupted()

    ear.answers = hang
    bench.happen(1, 2)
    bench.hook_delivery.drain(
        lambda seconds: receive(bench, seconds), clocks=Clocks(bench), limit_s=1.0
    )

    assert bench.waiting() == {HOOK.key: 2}
    assert [notice.attempts for notice in bench.outbox.waiting(HOOK, 9)] == [0, 0]
    text = "2 notices for hook on_done:ear wait for the next start"
    assert text in messages(caplog, logging.INFO)


def test_stop_does_not_wait_for_back_offs(bench: Bench):
    """What is down will be down in five seconds, too."""
    bench.answer(TemporaryFailure("down"))
    bench.happen(1)
    bench.turn()
    before = bench.seconds
    bench.hook_delivery.drain(lambda seconds: receive(bench, seconds), clocks=Clocks(bench))

    assert bench.seconds - before < 1.0


def test_stopped_sending_thread_begins_nothing(bench: Bench):
    """Between two notices of its bag."""
    ear = bench.ears(HOOK)
    told: list[Answered] = []
    sending_thread = SendingThread(HOOK, ear, told.append)

    def stop(notice: Notice) -> Reply:
        sending_thread.stop_after_current()
        return Accepted()

    ear.answers = stop
    bench.happen(1, 2)
    sending_thread.start(bench.outbox.waiting(HOOK, 2))
    sending_thread.join(50)

    assert bench.heard() == ["done-1"]
