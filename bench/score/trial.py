"""One trial: a fleet is invented, lives through its history, and is judged as its readings arrive."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from analytics.arrival import findings_by_arrival
from analytics.arrival_days import findings_by_day, local_day
from analytics.score import CheckScore, false_findings, meter_weeks, missed_labels, score
from analytics.truth import Findings, Kind, Truth
from bench.score.gaps import gap_findings
from firmware_sim.faults import Level
from firmware_sim.labels import Label, Word, labels
from firmware_sim.meter import generate
from firmware_sim.mix import DEMANDING
from firmware_sim.population import Population, build_population
from fleet.checks import BY_CODE, BY_NUMBER
from fleet.meter_table import MeterTable
from fleet.times import DEFAULT_ZONE, to_datetime

#: The history ends here, in autumn, at a local noon.
_END = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
_ZONE = ZoneInfo(DEFAULT_ZONE)
#: Three in four meters have a fault, so that each kind is seen often enough.
_FAULT_SHARE = 0.75
#: What is promised to be found.
PROMISED = (int(Level.NOMINAL), int(Level.STRONG))
_KINDS = {
    Word.FAULT: Kind.FAULT,
    Word.EFFECT: Kind.EFFECT,
    Word.TOLERATED: Kind.TOLERATED,
    Word.UNDECIDED: Kind.UNDECIDED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is tried."""

    meters: int
    days: float
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What came of it."""

    size: Size
    readings: int
    meter_weeks: float
    labels: list[Label]
    truth: Truth
    findings: Findings
    scores: dict[str, CheckScore]
    population: Population

    def wrong(self) -> list[str]:
        """Describe each wrong finding."""
        e = self.findings.episodes
        return [
            f"{BY_NUMBER[int(e.check[at])].code}: {self._meter(int(e.meter_key[at]))} "
            f"from {to_datetime(int(e.started_us[at])).isoformat()} "
            f"value {e.value[at]:g} limit {e.limit[at]:g} flag {e.flag[at]}"
            for at in np.flatnonzero(false_findings(self.truth, self.findings)).tolist()
        ]

    def missed(self) -> list[str]:
        """Describe each fault that was promised to be found and was not."""
        missed = missed_labels(self.truth, self.findings) & np.isin(self.truth.level, PROMISED)
        return [
            f"{one.check}: {self._meter(one.meter_key)} {one.cause} ({one.level.name.lower()}) "
            f"from {to_datetime(one.from_us).isoformat()}"
            for one in (self.labels[at] for at in np.flatnonzero(missed).tolist())
        ]

    def _meter(self, place: int) -> str:
        meter = self.population.meters[place]
        faults = [f.fault.name.lower() for f in self.population.faults if f.meter_id == meter.meter_id]
        return f"{meter.meter_id} (every {meter.interval_s} s; {', '.join(faults) or 'clean'})"


def run(size: Size) -> Trial:
    """Invent, let live, judge and score; the same size gives the same trial."""
    start = _END - timedelta(days=size.days)
    population = build_population(
        size.meters,
        size.seed,
        start=start,
        end=_END,
        company="score",
        fault_share=_FAULT_SHARE,
        mix=DEMANDING,
    )
    readings = generate(population).readings
    start_us, end_us = (round(moment.timestamp() * 1e6) for moment in (start, _END))
    meters = MeterTable.build(population.meters)
    findings = Findings.concatenate(
        [
            findings_by_arrival(readings, meters, start_us, end_us),
            gap_findings(readings, meters, end_us),
            findings_by_day(
                readings, meters, _ZONE, local_day(_ZONE, start_us), local_day(_ZONE, end_us) - 1
            ),
        ]
    )
    known = [label for label in labels(population) if label.check in BY_CODE]
    truth = truth_of(known)
    return Trial(
        size=size,
        readings=len(readings),
        meter_weeks=meter_weeks(size.meters, end_us - start_us),
        labels=known,
        truth=truth,
        findings=findings,
        scores=score(truth, findings, PROMISED),
        population=population,
    )


def truth_of(known: list[Label]) -> Truth:
    """Turn the simulator's labels into columns."""
    return Truth.build(
        meter_key=np.array([one.meter_key for one in known], dtype=np.int32),
        check=np.array([BY_CODE[one.check].number for one in known], dtype=np.uint8),
        kind=np.array([_KINDS[one.word] for one in known], dtype=np.uint8),
        level=np.array([one.level for one in known], dtype=np.int8),
        from_us=np.array([one.from_us for one in known], dtype=np.int64),
        until_us=np.array([one.until_us for one in known], dtype=np.int64),
        decidable_us=np.array([one.decidable_us for one in known], dtype=np.int64),
        slack_us=np.array([one.slack_us for one in known], dtype=np.int64),
    )
