"""Registers that fell, that jumped, that were misread, and those of a meter that was exchanged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analytics.block import Block, Check, Flags, Floats, Tracked, Verdict
from analytics.register.events import Events
from analytics.register.series import FIELDS, Series, analyse
from analytics.segments import Mask
from analytics.tracking import Decisions, Tracker
from fleet.flags import Flag, worst
from fleet.meter_table import Limit
from fleet.readings import ABSENT


@dataclass(frozen=True, slots=True, eq=False)
class Registers:
    """Both registers of a block, followed from sample to sample."""

    volume: Series
    std_volume: Series

    @classmethod
    def of(cls, block: Block) -> Registers:
        """Follow both; findings speak of the standard register only where the working one is absent."""
        return cls(
            analyse(block, "volume", block.volume_m3, None, block.limit(lambda p: p.implausible_ratio)),
            analyse(
                block,
                "std_volume",
                block.std_volume_m3,
                np.isnan(block.volume_m3),
                block.limit(lambda p: p.implausible_std_ratio),
            ),
        )

    @property
    def disturbed(self) -> Mask:
        """Tell at which readings either register moved, fell or leapt: it did not stand still."""
        restless: Mask = self.moved | self.volume.suspicious | self.std_volume.suspicious
        return restless

    @property
    def moved(self) -> Mask:
        """Tell at which readings either register had moved."""
        moved: Mask = self.volume.moved | self.std_volume.moved
        return moved


def registered(block: Block) -> Mask:
    """Tell which readings have a register that counts; for `Block.once`."""
    absent = np.isnan(block.volume_m3)
    absent &= np.isnan(block.std_volume_m3)
    return np.logical_not(absent, out=absent)


@dataclass(frozen=True, slots=True, eq=False)
class _Finding:
    """One check's word on the events of a series."""

    code: str
    #: Prefix of the state's fields that hold the open episodes.
    name: str
    #: Gives the flag of each event, and which had, or have, to wait for the next sample.
    judge: Callable[[Events], tuple[Flags, Mask]]
    #: What the rise is to be multiplied by to give the finding's value; NaN: there is none.
    sign: float
    limit_name: str | None


_FINDINGS = (
    _Finding("sensor_glitch", "glitch", Events.glitch, np.nan, None),
    _Finding("register_reversed", "reversed", Events.reversed, -1.0, "register_step_m3"),
    _Finding("register_jump", "jump", Events.jumped, 1.0, "implausible_ratio"),
    _Finding("meter_exchanged", "exchanged", Events.exchanged, -1.0, "exchange_gap_s"),
)


def check_registers(block: Block) -> Verdict:
    """Flag misread registers, reversals, jumps and exchanged meters.

    `sensor_glitch` and `meter_exchanged` are SUSPECT, `register_reversed` and `register_jump` FAIL. The
    rules are in `series.analyse`. A sample that fell or leapt is UNKNOWN until the next one decides
    (a revision), so the last sample of all stays so; a register's first is UNKNOWN to all four. The onset
    is the sample that fell or leapt, and the finding ends with the next sample that did not.

    Value: how far the register fell or rose, m³; of an exchange, how far it fell (negative where the
    new meter shows more); of a misread register none, for the catalogue's unit is that of
    temperatures. Limit: the register's step, which every fall is held against; none for a jump, whose
    limit grows with the time between the samples.
    """
    registers = block.once(Registers.of)
    verdict = Verdict(state={**registers.volume.state, **registers.std_volume.state})
    both = (("volume", registers.volume), ("std_volume", registers.std_volume))
    uneventful = _uneventful(block, both)
    if uneventful is not None:
        verdict.flags = {finding.code: uneventful for finding in _FINDINGS}
        return verdict
    for finding in _FINDINGS:
        said = [_speak(block, verdict, finding, name, series) for name, series in both]
        verdict.flags[finding.code] = worst(*said)
    return verdict


def _uneventful(block: Block, both: tuple[tuple[str, Series], ...]) -> Flags | None:
    """Give the flags that all findings share where nothing happened and nothing is open, as mostly."""
    if any(len(series.events.at) for _, series in both):
        return None
    open_ = (block.state[f"{finding.name}_{name}"]["started_us"] for finding in _FINDINGS for name, _ in both)
    if any((started_us != ABSENT).any() for started_us in open_):
        return None
    plain = (series.samples.flags(series.plain[series.tailed.own], series.base) for _, series in both)
    return worst(*plain)


def _speak(block: Block, verdict: Verdict, finding: _Finding, name: str, series: Series) -> Flags:
    """Add a finding on one register to the verdict; give the flags of the block's readings."""
    events, tailed = series.events, series.tailed
    flag, waited = finding.judge(events)
    flags = series.flags(flag)
    was_waiting = tailed.seg.marks(events.at[waited])
    tails = was_waiting[tailed.tails] & (flags[tailed.tails] != Flag.MISSING)
    block.revise(verdict, finding.code, f"{name}_tail", tailed.meters[tails], flags[tailed.tails[tails]])
    said, value = tailed.unsaid(flags, was_waiting), _value(series, finding)
    block.track(
        verdict,
        Decisions(seg=tailed.seg, time_us=series.time_us, flag=said, value=value),
        Tracker(code=finding.code),
        _limit(block, finding),
        limit_name=finding.limit_name,
        name=f"{finding.name}_{name}",
    )
    return series.samples.flags(flags[tailed.own], series.base)


def _value(series: Series, finding: _Finding) -> Floats:
    """Give each sample's rise or fall; without events nobody will ask."""
    if np.isnan(finding.sign) or len(series.events.at) == 0:
        return np.broadcast_to(np.nan, len(series.value))
    return series.rise if finding.sign > 0 else -series.rise


def _limit(block: Block, finding: _Finding) -> Limit:
    return np.nan if finding.code in ("sensor_glitch", "register_jump") else block.meters.register_step_m3


CHECK = Check(
    codes=tuple(finding.code for finding in _FINDINGS),
    run=check_registers,
    carries=tuple((f"{name}_{field}", kind) for name in ("volume", "std_volume") for field, kind in FIELDS),
    tracks=tuple(
        Tracked(f"{finding.name}_{name}", finding.code)
        for finding in _FINDINGS
        for name in ("volume", "std_volume")
    ),
    looks_ahead=tuple(finding.code for finding in _FINDINGS),
)
