"""What every check is handed, and what it hands back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from analytics.episodes import Episodes
from analytics.samples import missing_or_good
from analytics.segments import Mask, Segments
from analytics.tracking import Decisions, Tracker
from fleet.checks import BY_CODE
from fleet.columns import Columns
from fleet.flags import Flag
from fleet.meter_table import Limit, MeterTable
from fleet.policy import Policy
from fleet.readings import ReadingBatch

US_PER_S = 1_000_000
US_PER_H = 3_600_000_000
US_PER_DAY = 86_400_000_000

Flags = NDArray[np.uint8]
Floats = NDArray[np.float64]

Shared = TypeVar("Shared")


@dataclass(frozen=True, slots=True, eq=False)
class Revisions(Columns):
    """Flags of readings of an earlier run, decided by what came since; arrays of shape (r,).

    What is finally known of a reading is `fleet.flags.worst` of all that was said of it.
    """

    meter_key: NDArray[np.int32]
    device_time_us: NDArray[np.int64]
    seq: NDArray[np.int64]
    #: Number of the check in `fleet.checks.BY_NUMBER`.
    check: NDArray[np.uint8]
    flag: Flags

    @classmethod
    def empty(cls) -> Self:
        """Make no revisions."""
        ints = np.empty(0, np.int64)
        return cls(ints.astype(np.int32), ints, ints, ints.astype(np.uint8), ints.astype(np.uint8))


@dataclass(slots=True, eq=False)
class Verdict:
    """What one check says of a block."""

    #: Check code -> one flag per reading.
    flags: dict[str, Flags] = field(default_factory=dict)
    episodes: list[Episodes] = field(default_factory=list)
    revised: list[Revisions] = field(default_factory=list)
    #: Field of `STATE_DTYPE` -> its new value per meter.
    state: dict[str, NDArray[Any]] = field(default_factory=dict)

    def add(self, episodes: Episodes) -> None:
        """Take up episodes, if there are any."""
        if len(episodes):
            self.episodes.append(episodes)


class Tracked(NamedTuple):
    """A field of the state that holds an open episode, and whose it is."""

    field: str
    code: str
    #: As in `Episodes.part`.
    part: int = 0


def tracked(*codes: str) -> tuple[Tracked, ...]:
    """Name the fields after the codes, as checks with one episode at a time do."""
    return tuple(Tracked(code, code) for code in codes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check, or several that are decided together, as the pipeline runs it."""

    #: Codes of which it flags every reading.
    codes: tuple[str, ...]
    run: Callable[[Block], Verdict]
    #: Fields of the state that it carries from one run to the next, as (name, dtype).
    carries: tuple[tuple[str, str], ...] = ()
    #: Fields of the state that hold an open episode.
    tracks: tuple[Tracked, ...] = ()
    #: Of its codes, those that never call a sample bad before the next one has come.
    looks_ahead: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """n readings of m meters, sorted by meter and time, every meter with at least one."""

    readings: ReadingBatch
    meters: MeterTable
    #: Shape (m,), what was carried.
    state: NDArray[np.void]
    seg: Segments
    #: Frames that a transport fault blanked, and whether there are any; no check but `dropout_frame`
    #: uses them.
    dropout: Mask
    blanked: bool
    #: The registers, NaN where a frame has none that counts.
    volume_m3: Floats
    std_volume_m3: Floats
    #: Shape (m,): longer without a frame is silence.
    silent_limit_us: NDArray[np.int64]
    _shared: dict[Callable[[Block], Any], Any] = field(default_factory=dict)

    @property
    def time_us(self) -> NDArray[np.int64]:
        """Device time of each reading."""
        return self.readings.device_time_us

    def __len__(self) -> int:
        return len(self.seg)

    def limit(self, of: Callable[[Policy], float]) -> Limit:
        """Look something up in the policies: one number, or shape (m,) where they differ."""
        return self.meters.limit(of)

    def once(self, look: Callable[[Block], Shared]) -> Shared:
        """Give what several checks look at alike; worked out for the first that asks."""
        if look not in self._shared:
            self._shared[look] = look(self)
        shared: Shared = self._shared[look]
        return shared

    def flags(self, present: Mask, *, decidable: Mask | bool = True) -> Flags:
        """Begin a check's flags: GOOD, UNKNOWN where it cannot decide, MISSING where nothing is reported."""
        out = missing_or_good(present)
        if decidable is False:
            out[present] = Flag.UNKNOWN
        elif decidable is not True:
            out[present & ~decidable] = Flag.UNKNOWN
        if self.blanked:
            out[self.dropout] = Flag.UNKNOWN
        return out

    def nothing_reported(self) -> Flags:
        """Give the flags of a check that finds nothing to look at in the whole block."""
        out = np.full(len(self), Flag.MISSING, dtype=np.uint8)
        out[self.dropout] = Flag.UNKNOWN
        return out

    def samples(self, present: Mask, carried_us: NDArray[np.int64]) -> NDArray[np.intp]:
        """Give the rows that a look at neighbours may use: reported, no dropout frame, later than the last.

        A second reading of one moment cannot confirm the first. `carried_us` has shape (m,): the
        last sample of the run before.
        """
        rows = np.flatnonzero(present & ~self.dropout)
        later = self.seg.take(rows).rises(self.time_us[rows], carried_us) > 0
        return rows if later.all() else rows[later]

    def track(
        self,
        verdict: Verdict,
        decisions: Decisions,
        tracker: Tracker,
        limit: Floats | float,
        *,
        limit_name: str | tuple[str, ...] | None = None,
        name: str | None = None,
        applies: Mask | None = None,
    ) -> None:
        """Turn decisions into episodes of the verdict, under the state's field `name` (or the code).

        Parameters
        ----------
        verdict
            Where to put them.
        decisions, tracker
            What was decided, and how that becomes episodes.
        limit
            What the values are held against: shape (m,), or the same for all.
        limit_name
            The limit that a company or a meter could have set, for `MeterTable.origin_of`; several
            where the limit is made of them.
        name
            Field of the state; None for the check's code.
        applies
            Shape (m,): where it is false the check has nothing to hold against the meter any more,
            and what was open ends with the meter's first reading here.

        """
        name = name or tracker.code
        carried = self.state[name]
        if applies is not None and not applies.all():
            began_us = self.time_us[self.seg.starts]
            ended, carried = tracker.end(carried, ~applies, self.meters.meter_key, began_us)
            verdict.add(ended)
        episodes, after = tracker.track(decisions, carried, self.meters.meter_key, limit)
        verdict.add(self._stamped(episodes, limit_name))
        verdict.state[name] = after

    def decisions(self, flag: Flags, value: Floats, onset_us: NDArray[np.int64] | None = None) -> Decisions:
        """Pair every reading with its flag and value."""
        return Decisions(seg=self.seg, time_us=self.time_us, flag=flag, value=value, onset_us=onset_us)

    def revise(self, verdict: Verdict, code: str, name: str, rows: NDArray[np.intp], flag: Flags) -> None:
        """Add to a verdict what is now decided of carried samples that waited.

        Parameters
        ----------
        verdict, code
            Where to put it, and of which check.
        name
            The fields `{name}_us` and `{name}_seq` of the state tell which reading it was.
        rows, flag
            Rows of the meters, and the flag of each one's carried sample.

        """
        if len(rows) == 0:
            return
        number = np.full(len(rows), BY_CODE[code].number, dtype=np.uint8)
        key, state = self.meters.meter_key[rows], self.state
        time_us, seq = state[f"{name}_us"][rows], state[f"{name}_seq"][rows]
        verdict.revised.append(Revisions(key, time_us, seq, number, flag))

    def _stamped(self, episodes: Episodes, limit_name: str | tuple[str, ...] | None) -> Episodes:
        """Note where the limit of each episode comes from."""
        if limit_name is None or len(episodes) == 0:
            return episodes
        names = (limit_name,) if isinstance(limit_name, str) else limit_name
        origin = self.meters.origin_of(*names)[self.meters.rows_of(episodes.meter_key)]
        return replace(episodes, origin=origin)
