"""Moves notices from the outbox to the hooks and records the answers; part of the service.

It runs in the service's thread, never waits, and gets all times as arguments. Sending threads wait.
"""

import logging
import random
import time
from collections.abc import Callable
from typing import Protocol

from daemon import event_ids
from daemon.backoff import doubled_s
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
BATCH = 32  # notices that a sending thread gets at once
FIRST_WAIT_S = 1.0  # doubled with each failure
LONGEST_WAIT_S = 300.0
#: The longest wait that a listener may ask for by Retry-After.
MAX_RETRY_AFTER_S = 3600.0
#: Attempts that even an old notice gets: the clock may jump, the daemon may have been down.
MIN_ATTEMPTS = 5
DRAIN_S = 5.0
#: For `cvunetd once`: nobody waits for its end, and its next run may be tomorrow.
ONCE_DRAIN_S = 60.0
JOIN_S = 5.0
PAUSE_S = 0.1
ERROR_LETTERS = 300  # letters of an error in reports


def no_sender(hook: Hook) -> Sender:
    """Stand in for a sender in a service without hooks."""
    raise AssertionError(f"nobody brings notices to {hook.key}")


class Clocks(Protocol):
    """The service's clocks."""

    @property
    def monotonic(self) -> Callable[[], float]: ...
    @property
    def now(self) -> Callable[[], float]: ...


class HookDelivery:
    """Sequences outbox and sending threads; one notice of a hook at a time, hooks in parallel."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        put: Put,
        open_sender: OpenSender,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """``put`` takes the answers of sending threads, which come back by `note_reply`.

        ``jitter`` gives numbers from 0 to 1.
        """
        self.outbox = outbox
        self.put = put
        self.open_sender = open_sender
        self.jitter = jitter
        self.channels: dict[str, Channel] = {}
        self.old_threads: list[SendingThread] = []
        """Threads of hooks that were removed or changed, still sending."""
        self.replies: list[Answered] = []
        self.change(outbox.subscriptions)

    @property
    def states(self) -> dict[str, HookState]:
        """Return the state of each hook by its key."""
        return {key: channel.state for key, channel in self.channels.items()}

    def change(self, subscriptions: Subscriptions) -> None:
        """Use other hooks from now on; an unchanged hook goes on undisturbed."""
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
        """Note an answer; `run_once` acts on it, many answers in one commit."""
        self.replies.append(answered)

    def run_once(self, *, monotonic: float, now: float) -> None:
        """Record the answers, then send what is due.

        Call it outside of transactions: what a sending thread gets has to be committed. After a
        `LedgerError` nothing has changed, and the next call does it all.
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
        """Delete notices that were answered for good, and count the attempts of the others."""
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
        """Return what an answer leads to; empty if it came from a hook that was changed since."""
        channel = self.channels.get(answered.hook)
        if channel is None:
            return ""
        notice = channel.in_flight.get(answered.notice_id)
        if isinstance(answered.reply, Accepted):
            return "delivered"
        if notice is None or isinstance(answered.reply, Interrupted):
            return ""
        if isinstance(answered.reply, PermanentFailure):
            return "failed"
        attempts, limit = notice.attempts + 1, answered.reply.max_attempts
        is_over = limit is not None and channel.limited[answered.notice_id] + 1 >= limit
        age_s = now - notice.added_at
        is_old = age_s >= self.outbox.subscriptions.give_up_s and attempts >= MIN_ATTEMPTS
        return "failed" if is_old or is_over else "retried"

    def record_outcome(
        self, channel: Channel, answered: Answered, outcome: str, *, monotonic: float, now: float
    ) -> None:
        """Count the outcome, and log failures."""
        channel.counts[outcome] += 1
        channel.note_limited(answered, is_over=outcome != "retried")
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
            # The sending thread has ended: its other notices stay in the outbox.
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
        """Return how long to wait after so many failures, with jitter."""
        longest = doubled_s(FIRST_WAIT_S, failures - 1, LONGEST_WAIT_S)
        return longest * (0.5 + self.jitter() / 2)

    # --- what waits -------------------------------------------------------------------------

    def update_counts(self) -> None:
        """Count what waits; drop notices of removed hooks, and the oldest ones beyond the limit."""
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
        """Start a sending thread, if notices wait and it is time."""
        if channel.old_thread is not None:
            if not channel.old_thread.is_busy:
                channel.old_thread = None  # its last answer is recorded before the next call
            return
        if not channel.waiting or channel.in_flight or monotonic < channel.pause_until:
            return
        later = {one: due for one, due in channel.delayed.items() if monotonic < due}
        channel.delayed = later  # this also removes notices that were dropped meanwhile
        found = self.outbox.waiting(channel.hook, BATCH + len(later))
        batch = [notice for notice in found if notice.id not in later][:BATCH]
        if batch:
            channel.in_flight = {notice.id: notice for notice in batch}
            channel.sending_thread.start(batch)

    # --- the end ----------------------------------------------------------------------------

    def is_sending(self) -> bool:
        """Whether some hook is being sent a notice, or an answer was not recorded yet."""
        return bool(self.replies) or any(one.is_busy for one in self.channels.values())

    def drain(
        self, receive: Callable[[float], object], *, clocks: Clocks, limit_s: float = DRAIN_S
    ) -> None:
        """Send what can be sent within the limit; the rest is for the next start.

        ``receive`` waits for messages for so long, and passes answers to `note_reply`.
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
            logger.warning("answers of hooks could not be written down: %s", error)
            self.stop()
        for channel in self.channels.values():
            if channel.waiting:
                text = "%s notices for hook %s wait for the next start"
                logger.info(text, channel.waiting, channel.hook.key)

    def stop(self) -> None:
        """Stop all sending threads."""
        stopped = [
            *self.old_threads,
            *(channel.sending_thread for channel in self.channels.values()),
        ]
        for sending_thread in stopped:
            sending_thread.stop()
        deadline = time.monotonic() + JOIN_S  # real time: the threads have no other clock
        for sending_thread in stopped:
            sending_thread.join(max(deadline - time.monotonic(), 0.0))
