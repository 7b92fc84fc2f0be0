"""Takes notices from the outbox to their hooks, and the answers back: the service's own part.

It runs in the service's thread, never waits, and decides by times that it is given; couriers wait.
"""

import logging
import random
import time
from collections.abc import Callable
from typing import Protocol

from daemon import event_ids
from daemon.errors import LedgerError
from daemon.hooks.channel import Channel
from daemon.hooks.outbox import Outbox
from daemon.hooks.sending_thread import SendingThread
from daemon.notices import (
    Accepted,
    Answered,
    Hook,
    HookState,
    Interrupted,
    PermanentFailure,
    Put,
    Sender,
    Subscriptions,
    TemporaryFailure,
)

logger = logging.getLogger(__name__)

OpenSender = Callable[[Hook], Sender]
BATCH = 32  # notices that a courier takes along
FIRST_WAIT_S = 1.0  # doubled with each failure
LONGEST_WAIT_S = 300.0
#: The longest that a listener may ask for by Retry-After.
MAX_RETRY_AFTER_S = 3600.0
#: However old, a notice is tried so often: a clock may leap, a daemon may have been down.
MIN_ATTEMPTS = 5
DRAIN_S = 5.0
#: `cvunetd once` is in no hurry: nobody waits for its end, and its next run may be tomorrow's.
ONCE_DRAIN_S = 60.0
JOIN_S = 5.0
PAUSE_S = 0.1
ERROR_LETTERS = 300  # letters of an error in reports


def no_sender(hook: Hook) -> Sender:
    """For a service without hooks."""
    raise AssertionError(f"nobody brings notices to {hook.key}")


class Clocks(Protocol):
    """The service's own."""

    @property
    def monotonic(self) -> Callable[[], float]: ...
    @property
    def now(self) -> Callable[[], float]: ...


class HookDelivery:
    """Sequences outbox and couriers; one notice of a hook at a time, hooks side by side."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        put: Put,
        open_sender: OpenSender,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """``put`` takes couriers' answers, which come back by `hear`. ``jitter``: 0 to 1."""
        self.outbox = outbox
        self.put = put
        self.open_sender = open_sender
        self.jitter = jitter
        self.channels: dict[str, Channel] = {}
        self.old_threads: list[SendingThread] = []
        """Of hooks that are gone or changed, and still telling."""
        self.replies: list[Answered] = []
        self.change(outbox.subscriptions)

    @property
    def states(self) -> dict[str, HookState]:
        """Each hook by its key."""
        return {key: channel.state for key, channel in self.channels.items()}

    def change(self, subscriptions: Subscriptions) -> None:
        """Other hooks from now on; one that stays as it is goes on undisturbed."""
        old, self.channels = self.channels, {}
        for hook in subscriptions.hooks:
            known = old.get(hook.key)
            if known is not None and known.hook == hook:
                self.channels[hook.key] = old.pop(hook.key)
                continue
            changed = Channel(hook, SendingThread(hook, self.open_sender(hook), self.put))
            if known is not None:
                changed.counts, changed.old_thread = known.counts, known.sending_thread
            self.channels[hook.key] = changed
        for channel in old.values():
            channel.sending_thread.stop_after_current()
        self.old_threads = [one for one in self.old_threads if one.is_busy]
        self.old_threads += [
            channel.sending_thread for channel in old.values() if channel.sending_thread.is_busy
        ]
        self.outbox.subscriptions = subscriptions
        self.outbox.is_changed = True

    def note_reply(self, answered: Answered) -> None:
        """A courier's answer; acted upon in `turn`, many in one commit."""
        self.replies.append(answered)

    def run_once(self, *, monotonic: float, now: float) -> None:
        """Write down what was answered, then send what is due.

        Outside of transactions: what a courier gets has to be committed. `LedgerError` leaves
        everything as it was, to be done at the next turn.
        """
        assert not self.outbox.ledger.is_in_transaction()
        if self.replies:
            self.close_answered(monotonic=monotonic, now=now)
        if self.outbox.is_changed:
            self.update_counts()
        for channel in self.channels.values():
            self.send_due(channel, monotonic=monotonic)

    # --- answers ----------------------------------------------------------------------------

    def close_answered(self, *, monotonic: float, now: float) -> None:
        """Forget what is through with, count attempts of what is not."""
        outcomes = [(answered, self.outcome_of(answered, now)) for answered in self.replies]
        self.outbox.record_answers(
            closed=[
                answered.notice_id
                for answered, outcome in outcomes
                if outcome in ("delivered", "failed")
            ],
            tried=[answered.notice_id for answered, outcome in outcomes if outcome == "retried"],
        )
        self.replies = []
        for answered, outcome in outcomes:
            if outcome:
                self.record_outcome(
                    self.channels[answered.hook], answered, outcome, monotonic=monotonic, now=now
                )

    def outcome_of(self, answered: Answered, now: float) -> str:
        """What an answer leads to; nothing, if it is that of a hook which has been changed."""
        channel = self.channels.get(answered.hook)
        notice = channel.in_flight.get(answered.notice_id) if channel is not None else None
        if isinstance(answered.reply, Accepted):
            return "delivered" if channel is not None else ""
        if notice is None or isinstance(answered.reply, Interrupted):
            return ""
        if isinstance(answered.reply, PermanentFailure):
            return "failed"
        attempts, limit = notice.attempts + 1, answered.reply.max_attempts
        age_s = now - notice.added_at
        is_old = age_s >= self.outbox.subscriptions.give_up_s and attempts >= MIN_ATTEMPTS
        return "failed" if is_old or (limit is not None and attempts >= limit) else "retried"

    def record_outcome(
        self, channel: Channel, answered: Answered, outcome: str, *, monotonic: float, now: float
    ) -> None:
        """Count, and tell the log of trouble."""
        channel.counts[outcome] += 1
        notice = channel.in_flight.pop(answered.notice_id, None)
        channel.delayed.pop(answered.notice_id, None)
        if isinstance(answered.reply, Accepted):
            channel.failures_in_a_row = 0
            logger.debug("%s told: %s", channel.hook.key, answered.notice_id)
            return
        assert notice is not None
        assert isinstance(answered.reply, PermanentFailure | TemporaryFailure)
        channel.last_error, channel.last_error_at = answered.reply.reason[:ERROR_LETTERS], now
        fields = {"HOOK": channel.hook.key, "ERROR": answered.reply.reason}
        if isinstance(answered.reply, TemporaryFailure):
            # The courier came back: what else it had stays in the outbox.
            channel.in_flight.clear()
            channel.failures_in_a_row += 1
            wait_s = max(
                self.backoff_s(channel.failures_in_a_row),
                min(answered.reply.retry_after_s, MAX_RETRY_AFTER_S),
            )
            channel.pause_until = monotonic + wait_s
            channel.delayed[answered.notice_id] = monotonic + self.backoff_s(notice.attempts + 1)
        if outcome == "failed":
            channel.delayed.pop(answered.notice_id, None)
            text = "hook %s was not told of %s, and will not be: %s"
            fields["MESSAGE_ID"] = event_ids.HOOK_FAILED
            logger.error(
                text, channel.hook.key, notice.event_id, answered.reply.reason, extra=fields
            )
            return
        text = "hook %s: %s; again later"
        logger.warning(text, channel.hook.key, answered.reply.reason, extra=fields)

    def backoff_s(self, failures: int) -> float:
        """How long to wait after so many failures; never the same for two daemons."""
        longest = min(FIRST_WAIT_S * 2.0 ** min(failures - 1, 30), LONGEST_WAIT_S)
        return longest * (0.5 + self.jitter() / 2)

    # --- what waits -------------------------------------------------------------------------

    def update_counts(self) -> None:
        """Count; forget what nobody listens to any more, and the oldest where it is too much."""
        counts = self.outbox.counts()
        for key in counts.keys() - self.channels.keys():
            dropped_count = self.outbox.forget(key)
            logger.warning("%s notices of hook %s, which is gone, are dropped", dropped_count, key)
        for key, channel in self.channels.items():
            channel.waiting = counts.get(key, 0)
            excess = channel.waiting - self.outbox.subscriptions.max_waiting
            if excess > 0:
                dropped = self.outbox.drop_oldest(key, excess)
                channel.counts["dropped"] += dropped
                channel.waiting -= dropped
                text = "hook %s: more than hooks.max_waiting wait, the oldest %s are dropped"
                logger.warning(text, key, dropped, extra={"HOOK": key})
        self.outbox.is_changed = False

    def send_due(self, channel: Channel, *, monotonic: float) -> None:
        """Send a courier, if there is something to bring, and now is the time."""
        if channel.old_thread is not None:
            if not channel.old_thread.is_busy:
                channel.old_thread = None  # its last answer is heard before the next turn
            return
        if not channel.waiting or channel.in_flight or monotonic < channel.pause_until:
            return
        later = {one: due for one, due in channel.delayed.items() if monotonic < due}
        channel.delayed = later  # also without those that were dropped meanwhile
        found = self.outbox.waiting(channel.hook, BATCH + len(later))
        batch = [notice for notice in found if notice.id not in later][:BATCH]
        if batch:
            channel.in_flight = {notice.id: notice for notice in batch}
            channel.sending_thread.start(batch)

    # --- the end ----------------------------------------------------------------------------

    def is_sending(self) -> bool:
        """Some hook is being told something, or has answered."""
        return bool(self.replies) or any(one.is_busy for one in self.channels.values())

    def drain(
        self, receive: Callable[[float], object], *, clocks: Clocks, limit_s: float = DRAIN_S
    ) -> None:
        """Tell what can be told in a moment; the rest is for the next start.

        ``receive`` waits for messages for so long, and hands couriers' answers to `hear`.
        """
        if not self.channels:
            return
        deadline = clocks.monotonic() + limit_s
        try:
            self.run_once(monotonic=clocks.monotonic(), now=clocks.now())
            while self.is_sending() and clocks.monotonic() < deadline:
                receive(PAUSE_S)
                self.run_once(monotonic=clocks.monotonic(), now=clocks.now())
            self.stop()
            receive(0.0)
            if self.replies:
                self.close_answered(monotonic=clocks.monotonic(), now=clocks.now())
            self.update_counts()
        except LedgerError as error:
            logger.warning("what hooks were told last could not be written down: %s", error)
            self.stop()
        for channel in self.channels.values():
            if channel.waiting:
                text = "%s notices for hook %s wait for the next start"
                logger.info(text, channel.waiting, channel.hook.key)

    def stop(self) -> None:
        """End what is being told."""
        stopped = [
            *self.old_threads,
            *(channel.sending_thread for channel in self.channels.values()),
        ]
        for sending_thread in stopped:
            sending_thread.stop()
        deadline = time.monotonic() + JOIN_S  # of the threads, which know no other time
        for sending_thread in stopped:
            sending_thread.join(max(deadline - time.monotonic(), 0.0))
