"""Holes in sequences as the database knows them: since when, and how often they were asked for."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ingest.backfill import GRACE
from ingest.sequence import Advanced, Boot, Gaps, Runs
from storage.database import Transaction
from storage.named_sql import load_queries

_SQL = load_queries("ingest")


class _History(NamedTuple):
    """Since when a hole is known, how often its meter was asked, and when it is asked next."""

    found_at: datetime
    asked: int
    ask_at: datetime


@dataclass(frozen=True, slots=True)
class KnownGaps:
    """The holes of some meters before a batch, and what became of each so far."""

    gaps: dict[Boot, Gaps]
    #: In the order of `gaps`.
    _histories: dict[Boot, list[_History]]

    @classmethod
    def load(cls, transaction: Transaction, meter_keys: NDArray[np.int64]) -> Self:
        """Read the holes in the sequences of some meters."""
        gaps: defaultdict[Boot, list[tuple[int, int]]] = defaultdict(list)
        histories: defaultdict[Boot, list[_History]] = defaultdict(list)
        for row in transaction.rows(_SQL["ingest_gaps_load"], {"meter_keys": np.unique(meter_keys)}):
            boot = row["meter_key"], row["boot"]
            gaps[boot].append((row["seq_from"], row["seq_to"]))
            histories[boot].append(_History(row["found_at"], row["asked"], row["ask_at"]))
        return cls({boot: tuple(found) for boot, found in gaps.items()}, histories)

    def write(self, transaction: Transaction, runs: Runs, after: Advanced, now: datetime) -> None:
        """Write the holes that changed; what is left of one goes on with its history.

        A counter that leapt leaves a hole that every reading makes smaller: if it were new each time,
        its meter would be asked without end, and nobody would hear that it stays open.
        """
        gone: list[tuple[int, int, int]] = []
        rows: list[dict[str, Any]] = []
        for at, (before, left) in after.gaps.items():
            boot = int(runs.meter_key[at]), int(runs.boot[at])
            kept = set(before) & set(left)
            gone += [(*boot, gap[0]) for gap in before if gap not in kept]
            rows += self._rows(boot, [gap for gap in left if gap not in kept], now)
        if gone:
            columns = zip(("meter_keys", "boots", "firsts"), map(list, zip(*gone, strict=True)), strict=True)
            transaction.execute(_SQL["ingest_gaps_delete"], dict(columns))
        template = "(%(key)s, %(boot)s, %(from)s, %(to)s, %(found_at)s, %(asked)s, %(ask_at)s)"
        transaction.execute_many(_SQL["ingest_gaps_insert"], rows, template)

    def _rows(self, boot: Boot, gaps: list[tuple[int, int]], now: datetime) -> Iterator[dict[str, Any]]:
        """Give each hole with the history of the one that it is a piece of, if there was one."""
        known, histories = self.gaps.get(boot, ()), self._histories.get(boot, [])
        fresh = _History(now, 0, now + GRACE)
        for first, last in gaps:
            at = bisect_right(known, first, key=itemgetter(0)) - 1
            is_piece = at >= 0 and first <= known[at][1]
            since = histories[at] if is_piece else fresh
            yield {"key": boot[0], "boot": boot[1], "from": first, "to": last, **since._asdict()}
