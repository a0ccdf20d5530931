"""A message to ourselves: only what comes back through broker and database proves that both work; pure.

A dead network thread still looks connected. So a token is published every few seconds and has to
come back like any message, be committed, and only then counts as seen. It waits its turn behind
everything that waits in the session, so how late it is tells how late the readings are.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Outside of the meters' tree, so that no meter may write it.
CANARY_TOPIC = "meterwarden/canary"

_EVERY_US = 10_000_000
#: Nothing at all, not even the canary, for so long on a connection that looks alive is no connection.
DEAD_AFTER_S = 60.0


@dataclass(slots=True)
class Canary:
    """Which token was sent when, and for how long nothing came; times in microseconds since 1970."""

    identity: str
    #: When this process began; what waited before it may not know.
    started_us: int = 0
    sent_us: int = 0
    #: When the newest committed one had been sent, also by an earlier process; 0 before the first.
    seen_us: int = 0
    #: How long the newest committed one was on its way.
    round_trip_us: int = 0
    _waited_s: float = 0.0

    @property
    def topic(self) -> str:
        """Where this process' canaries fly."""
        return f"{CANARY_TOPIC}/{self.identity}"

    def next_token(self, now_us: int) -> int | None:
        """Give the token to be sent now, None where it is not time yet."""
        self._follow(now_us)
        if 0 <= now_us - self.sent_us < _EVERY_US:
            return None
        self.sent_us = now_us
        return now_us

    def came_back(self, token: int, now_us: int) -> None:
        """Note that a token is committed; anything newer than what was sent is not of this process."""
        self._follow(now_us)
        if self.seen_us < token <= self.sent_us:
            self.seen_us = token
            self.round_trip_us = max(now_us - token, 0)

    def overdue_s(self, now_us: int) -> float:
        """Tell for how long the next one should have come back, which is how long readings may be waiting."""
        self._follow(now_us)
        due_us = (self.seen_us or self.started_us) + _EVERY_US
        return max(now_us - due_us, 0) / 1e6

    def _follow(self, now_us: int) -> None:
        """Go along with a clock that was put back; else nothing would count until it caught up."""
        # Written only then: two threads come here, and one must not undo what the other notes.
        if max(self.seen_us, self.started_us) > now_us:
            self.seen_us = min(self.seen_us, now_us)
            self.started_us = min(self.started_us, now_us)

    def heard(self) -> None:
        """Note that something came from the broker, or that there is no connection that could be dead."""
        self._waited_s = 0.0

    def waited(self, seconds: float) -> None:
        """Note that nothing came although a connection looked alive.

        Waiting is counted, not read off a clock: a database that was away is no dead connection.
        """
        self._waited_s += seconds

    @property
    def is_dead(self) -> bool:
        """Whether a connection that looks alive brings nothing."""
        return self._waited_s > DEAD_AFTER_S


def read_token(payload: bytes) -> int | None:
    """Read a canary's token; None for anything else."""
    return int(payload) if payload.isdigit() and len(payload) <= 16 else None  # noqa: PLR2004 (below 2^53)
