"""The meters during one fault: both kinds, at a steady rate or at ten times that."""

from __future__ import annotations

import random
import time

from bench.faults.buffered import Buffered
from bench.faults.forgetful import Forgetful
from bench.faults.ledger import Ledger

#: Messages per second of each kind.
_FORGETFUL_PER_S, _BUFFERED_PER_S = 80.0, 40.0


class Load:
    """Publishes under one boot number, by which all readings of one fault are known."""

    def __init__(self, url: str, ledger: Ledger, boot: int, seed: int) -> None:
        self.boot = boot
        #: Seconds since 1970 UTC.
        self.began_s = time.time()
        self.forgetful = Forgetful(url, ledger, boot, random.Random(f"{seed}:{boot}"))
        self.buffered = Buffered(url, ledger, boot, seed)

    def steady(self, times: float = 1.0) -> None:
        """Publish at so many times the usual rate."""
        self.forgetful.rate_per_s = _FORGETFUL_PER_S * times
        self.buffered.rate_per_s = _BUFFERED_PER_S * times

    def calm(self) -> None:
        """Publish nothing new; what is on its way goes on."""
        self.forgetful.rate_per_s = 0.0
        self.buffered.calm()

    def close(self) -> None:
        """Leave the broker."""
        self.forgetful.close()
        self.buffered.close()
