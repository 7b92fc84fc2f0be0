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
    Hook,
    HookState,
    Interrupted,
    Put,
    Refused,
    Sender,
    Subscriptions,
    Told,
    Troubled,
)

logger = logging.getLogger(__name__)

OpenSender = Callable[[Hook], Sender]
BAG = 32  # notices that a courier takes along
FIRST_S = 1.0  # doubled with each failure
LONGEST_S = 300.0
#: The longest that a listener may ask for by Retry-After.
PATIENCE_S = 3600.0
#: However old, a notice is tried so often: a clock may leap, a daemon may have been down.
LEAST_ATTEMPTS = 5
DRAIN_S = 5.0
#: `cvunetd once` is in no hurry: nobody waits for its end, and its next run may be tomorrow's.
PATIENT_DRAIN_S = 60.0
JOIN_S = 5.0
PAUSE_S = 0.1
TOLD = 300  # letters of an error in reports


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
        self.retired: list[SendingThread] = []
        """Of hooks that are gone or changed, and still telling."""
        self.replies: list[Told] = []
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
            fresh = Channel(hook, SendingThread(hook, self.open_sender(hook), self.put))
            if known is not None:
                fresh.counts, fresh.predecessor = known.counts, known.sending_thread
            self.channels[hook.key] = fresh
        for channel in old.values():
            channel.sending_thread.retire()
        self.retired = [one for one in self.retired if one.is_busy]
        self.retired += [
            channel.sending_thread for channel in old.values() if channel.sending_thread.is_busy
        ]
        self.outbox.subscriptions = subscriptions
        self.outbox.is_changed = True

    def hear(self, told: Told) -> None:
        """A courier's answer; acted upon in `turn`, many in one commit."""
        self.replies.append(told)

    def turn(self, *, monotonic: float, now: float) -> None:
        """Write down what was answered, then send what is due.

        Outside of transactions: what a courier gets has to be committed. `LedgerError` leaves
        everything as it was, to be done at the next turn.
        """
        assert not self.outbox.ledger.is_in_transaction()
        if self.replies:
            self.settle(monotonic=monotonic, now=now)
        if self.outbox.is_changed:
            self.take_stock()
        for channel in self.channels.values():
            self.send_due(channel, monotonic=monotonic)

    # --- answers ----------------------------------------------------------------------------

    def settle(self, *, monotonic: float, now: float) -> None:
        """Forget what is through with, count attempts of what is not."""
        judged = [(told, self.verdict(told, now)) for told in self.replies]
        self.outbox.settle(
            closed=[told.notice_id for told, word in judged if word in ("delivered", "failed")],
            tried=[told.notice_id for told, word in judged if word == "retried"],
        )
        self.replies = []
        for told, word in judged:
            if word:
                self.note(self.channels[told.hook], told, word, monotonic=monotonic, now=now)

    def verdict(self, told: Told, now: float) -> str:
        """What an answer leads to; nothing, if it is that of a hook which has been changed."""
        channel = self.channels.get(told.hook)
        notice = channel.in_flight.get(told.notice_id) if channel is not None else None
        if isinstance(told.reply, Accepted):
            return "delivered" if channel is not None else ""
        if notice is None or isinstance(told.reply, Interrupted):
            return ""
        if isinstance(told.reply, Refused):
            return "failed"
        attempts, most = notice.attempts + 1, told.reply.attempts_at_most
        age_s = now - notice.added_at
        is_old = age_s >= self.outbox.subscriptions.give_up_s and attempts >= LEAST_ATTEMPTS
        return "failed" if is_old or (most is not None and attempts >= most) else "retried"

    def note(
        self, channel: Channel, told: Told, word: str, *, monotonic: float, now: float
    ) -> None:
        """Count, and tell the log of trouble."""
        channel.counts[word] += 1
        notice = channel.in_flight.pop(told.notice_id, None)
        channel.delayed.pop(told.notice_id, None)
        if isinstance(told.reply, Accepted):
            channel.streak = 0
            logger.debug("%s told: %s", channel.hook.key, told.notice_id)
            return
        assert notice is not None
        assert isinstance(told.reply, Refused | Troubled)
        channel.last_error, channel.last_error_at = told.reply.reason[:TOLD], now
        fields = {"HOOK": channel.hook.key, "ERROR": told.reply.reason}
        if isinstance(told.reply, Troubled):
            # The courier came back: what else it had stays in the outbox.
            channel.in_flight.clear()
            channel.streak += 1
            wait_s = max(self.backoff_s(channel.streak), min(told.reply.after_s, PATIENCE_S))
            channel.rest_until = monotonic + wait_s
            channel.delayed[told.notice_id] = monotonic + self.backoff_s(notice.attempts + 1)
        if word == "failed":
            channel.delayed.pop(told.notice_id, None)
            text = "hook %s was not told of %s, and will not be: %s"
            fields["MESSAGE_ID"] = event_ids.HOOK_FAILED
            logger.error(text, channel.hook.key, notice.event_id, told.reply.reason, extra=fields)
            return
        text = "hook %s: %s; again later"
        logger.warning(text, channel.hook.key, told.reply.reason, extra=fields)

    def backoff_s(self, failures: int) -> float:
        """How long to wait after so many failures; never the same for two daemons."""
        longest = min(FIRST_S * 2.0 ** min(failures - 1, 30), LONGEST_S)
        return longest * (0.5 + self.jitter() / 2)

    # --- what waits -------------------------------------------------------------------------

    def take_stock(self) -> None:
        """Count; forget what nobody listens to any more, and the oldest where it is too much."""
        counts = self.outbox.counts()
        for key in counts.keys() - self.channels.keys():
            forgotten = self.outbox.forget(key)
            logger.warning("%s notices of hook %s, which is gone, are dropped", forgotten, key)
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
        if channel.predecessor is not None:
            if not channel.predecessor.is_busy:
                channel.predecessor = None  # its last answer is heard before the next turn
            return
        if not channel.waiting or channel.in_flight or monotonic < channel.rest_until:
            return
        later = {one: due for one, due in channel.delayed.items() if monotonic < due}
        channel.delayed = later  # also without those that were dropped meanwhile
        found = self.outbox.waiting(channel.hook, BAG + len(later))
        bag = [notice for notice in found if notice.id not in later][:BAG]
        if bag:
            channel.in_flight = {notice.id: notice for notice in bag}
            channel.sending_thread.go(bag)

    # --- the end ----------------------------------------------------------------------------

    def is_telling(self) -> bool:
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
            self.turn(monotonic=clocks.monotonic(), now=clocks.now())
            while self.is_telling() and clocks.monotonic() < deadline:
                receive(PAUSE_S)
                self.turn(monotonic=clocks.monotonic(), now=clocks.now())
            self.stop()
            receive(0.0)
            if self.replies:
                self.settle(monotonic=clocks.monotonic(), now=clocks.now())
            self.take_stock()
        except LedgerError as error:
            logger.warning("what hooks were told last could not be written down: %s", error)
            self.stop()
        for channel in self.channels.values():
            if channel.waiting:
                text = "%s notices for hook %s wait for the next start"
                logger.info(text, channel.waiting, channel.hook.key)

    def stop(self) -> None:
        """End what is being told."""
        stopped = [*self.retired, *(channel.sending_thread for channel in self.channels.values())]
        for sending_thread in stopped:
            sending_thread.stop()
        deadline = time.monotonic() + JOIN_S  # of the threads, which know no other time
        for sending_thread in stopped:
            sending_thread.join(max(deadline - time.monotonic(), 0.0))
