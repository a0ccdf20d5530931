"""The figures of a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Counts:
    """Figures of a run, in readings where nothing else is said."""

    #: Distinct readings that were given to a broker.
    published: int = 0
    #: Of these, acknowledged by the broker.
    acknowledged: int = 0
    #: Of these, confirmed by the server.
    confirmed: int = 0
    #: Distinct readings given to a broker and not confirmed.
    unconfirmed: int = 0
    #: Sent a second time by the injected fault.
    duplicates_injected: int = 0
    #: Sent again for want of an acknowledgement or confirmation, or on the server's request.
    resent: int = 0
    #: Messages sent, of any kind.
    messages: int = 0
    #: Messages that the broker took and gave to nobody.
    undelivered: int = 0
    #: Messages from the server that say nothing a meter understands.
    not_understood: int = 0

    def as_dict(self) -> dict[str, int]:
        """Give the figures fit for JSON."""
        return asdict(self)
