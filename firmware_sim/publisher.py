"""Store and forward: readings go out, and stay in the buffer until the server confirms them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from firmware_sim.connection import Link, Received
from firmware_sim.counts import Counts
from firmware_sim.encode import payload, records, status_payload
from firmware_sim.lane import Kind, Lane, LaneReport, Outbound
from firmware_sim.ledger import Delivery, Ledger
from firmware_sim.playback import Message
from fleet.readings import ABSENT, ReadingBatch
from fleet.wire import parse_topic, topic

_log = logging.getLogger(__name__)

FIRMWARE = "sim-1.0"
#: Readings of one meter that are sent again travel together, so many at most.
_AGAIN_TOGETHER = 50
_SLOWEST_S = 120.0
_GOODBYE_S = 5.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Under which name a meter speaks."""

    company: str
    meter_id: str


class _Confirm(msgspec.Struct):
    boot: int
    seq: int


class _Backfill(msgspec.Struct):
    boot: int
    seq_from: int = msgspec.field(name="from")
    seq_to: int = msgspec.field(name="to")


class Publisher:
    """Speaks for all meters of a batch over one or several connections."""

    def __init__(
        self,
        readings: ReadingBatch,
        identities: Sequence[Identity],
        links: Sequence[Link],
        *,
        window: int = 1000,
        confirm_timeout_s: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Meter k (`readings.meter_key`) speaks as `identities[k]` over `links[k % len(links)]`.

        `window` bounds what is sent and not acknowledged, over all connections.
        """
        self._readings, self._identities = readings, list(identities)
        self._clock, self._window = clock, window
        self._lanes = [Lane(link, max(1, window // len(links)), clock) for link in links]
        self._ledger = Ledger(readings)
        self._key_of = {identity: key for key, identity in enumerate(self._identities)}
        self._boot_of = self._boots()
        self._counts = Counts()
        self._confirmed = 0
        self._patience_s = self._first_patience_s = confirm_timeout_s
        self._progress_s = clock()
        self._again: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    @property
    def room(self) -> int:
        """How many more messages may be offered now."""
        return min(lane.room for lane in self._lanes)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is in flight."""
        return not len(self._again) and not any(lane.busy for lane in self._lanes)

    @property
    def unconfirmed(self) -> int:
        """Readings given to the broker that the server has not confirmed."""
        return self._ledger.count(Delivery.SENT) - self._confirmed

    def counts(self) -> Counts:
        """Take stock."""
        self._counts.published = self._ledger.count(Delivery.SENT)
        self._counts.acknowledged = self._ledger.count(Delivery.ACKNOWLEDGED)
        self._counts.confirmed = self._confirmed
        self._counts.unconfirmed = self._counts.published - self._confirmed
        return self._counts

    def offer(self, messages: Sequence[Message]) -> None:
        """Queue messages for sending."""
        kinds = [Kind.DUPLICATE if message.duplicate else Kind.FIRST for message in messages]
        self._queue([message.rows for message in messages], kinds)

    def service(self, timeout_s: float) -> None:
        """Send, receive, and send again what was not confirmed in time."""
        share_s = timeout_s / len(self._lanes)
        for number, lane in enumerate(self._lanes):
            self._learn(number, lane.service(share_s))
        self._lose_patience()
        self._send_again()

    def close(self) -> None:
        """Say goodbye for every meter and close the connections."""
        goodbye = status_payload(online=False)
        for lane, keys in zip(self._lanes, self._keys_by_lane(), strict=True):
            lane.put([self._status(key, goodbye) for key in keys])
        last_s = self._clock() + _GOODBYE_S
        while any(lane.busy for lane in self._lanes) and self._clock() < last_s:
            for lane in self._lanes:
                lane.service(0.05)
        for lane in self._lanes:
            lane.close()

    def _queue(self, groups: Sequence[NDArray[np.int64]], kinds: Sequence[Kind]) -> None:
        if not groups:
            return
        rows = np.concatenate(groups)
        made = records(self._readings.take(rows))
        first = 0
        for group, kind in zip(groups, kinds, strict=True):
            key = int(self._readings.meter_key[group[0]])
            who = self._identities[key]
            text = payload(made[first : first + len(group)])
            first += len(group)
            message = Outbound(topic(who.company, who.meter_id, "telemetry"), text, kind, group.tolist())
            self._lanes[key % len(self._lanes)].put([message])

    def _learn(self, number: int, report: LaneReport) -> None:
        if report.came_up:
            self._greet(number)
        for message in report.sent:
            self._count_sent(message)
        delivered = [row for message in report.delivered for row in message.rows]
        if delivered and self._ledger.mark(delivered, Delivery.ACKNOWLEDGED):
            self._progress_s = self._clock()
        self._counts.undelivered += report.undelivered
        for received in report.received:
            self._hear(received)

    def _count_sent(self, message: Outbound) -> None:
        self._counts.messages += 1
        if message.kind is Kind.STATUS:
            return
        self._ledger.mark(message.rows, Delivery.SENT)
        if message.kind is Kind.DUPLICATE:
            self._counts.duplicates_injected += len(message.rows)
        elif message.kind is Kind.AGAIN:
            self._counts.resent += len(message.rows)

    def _greet(self, number: int) -> None:
        """Publish the meters' births, and send again what an earlier connection did not see confirmed."""
        lane, keys = self._lanes[number], self._keys_by_lane()[number]
        births = [
            self._status(key, status_payload(online=True, boot=self._boot_of[key], firmware=FIRMWARE))
            for key in keys
        ]
        lane.put_first(births)
        rows = self._ledger.unconfirmed()
        mine = self._readings.meter_key[rows] % len(self._lanes) == number
        self._again = np.union1d(self._again, rows[mine])

    def _status(self, key: int, text: bytes) -> Outbound:
        who = self._identities[key]
        return Outbound(topic(who.company, who.meter_id, "status"), text, Kind.STATUS)

    def _hear(self, received: Received) -> None:
        where = parse_topic(received.topic)
        key = self._key_of.get(Identity(where.company, where.meter_id)) if where else None
        if where is None or key is None:
            return  # a concentrator's filter also catches what is meant for meters elsewhere
        try:
            if where.leaf == "confirm":
                self._confirm(key, msgspec.json.decode(received.payload, type=_Confirm))
            elif where.leaf == "backfill":
                self._backfill(key, msgspec.json.decode(received.payload, type=_Backfill))
        except msgspec.MsgspecError as error:
            self._counts.not_understood += 1
            _log.debug("%s: %s", received.topic, error)

    def _confirm(self, key: int, confirm: _Confirm) -> None:
        news = self._ledger.confirm(key, confirm.boot, confirm.seq)
        if news:
            self._confirmed += news
            self._progress_s, self._patience_s = self._clock(), self._first_patience_s

    def _backfill(self, key: int, asked: _Backfill) -> None:
        rows = self._ledger.find(key, asked.boot, asked.seq_from, asked.seq_to)
        # What was confirmed is kept too, and given again to a server that lost it.
        sent = rows[self._ledger.delivery[rows] >= Delivery.ACKNOWLEDGED]
        self._again = np.union1d(self._again, sent)

    def _lose_patience(self) -> None:
        """After a time without any news, send the oldest unconfirmed readings again."""
        if self._clock() - self._progress_s < self._patience_s or not self.idle:
            return
        self._again = self._ledger.unconfirmed()[: self._window]
        self._progress_s = self._clock()
        self._patience_s = min(2 * self._patience_s, _SLOWEST_S)

    def _send_again(self) -> None:
        if not len(self._again) or not self.room:
            return
        rows, self._again = self._again[: self._window], self._again[self._window :]
        breaks = np.flatnonzero(np.diff(self._readings.meter_key[rows])) + 1
        groups = [
            part[at : at + _AGAIN_TOGETHER]
            for part in np.split(rows, breaks)
            for at in range(0, len(part), _AGAIN_TOGETHER)
        ]
        self._queue(groups, [Kind.AGAIN] * len(groups))

    def _keys_by_lane(self) -> list[range]:
        step = len(self._lanes)
        return [range(number, len(self._identities), step) for number in range(step)]

    def _boots(self) -> list[int | None]:
        boots: list[Any] = [None] * len(self._identities)
        keys, last = np.unique(self._readings.meter_key[::-1], return_index=True)
        for key, boot in zip(keys.tolist(), self._readings.boot[::-1][last].tolist(), strict=True):
            boots[key] = None if boot == ABSENT else boot
        return boots
