"""Registers that fell, and registers that were misread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analytics.block import Block, Check, Flags, Floats, Verdict
from analytics.register.series import FIELDS, Series, analyse
from analytics.segments import Mask
from analytics.tracking import Decisions, Tracker
from fleet.flags import Flag, worst
from fleet.meter_table import Limit


@dataclass(frozen=True, slots=True, eq=False)
class Registers:
    """Both registers of a block, followed from sample to sample."""

    volume: Series
    std_volume: Series

    @classmethod
    def of(cls, block: Block) -> Registers:
        """Follow both; findings speak of the standard register only where the working one is absent."""
        everywhere = np.ones(len(block), dtype=np.bool_)
        alone = np.isnan(block.volume_m3)
        return cls(
            analyse(block, "volume", block.volume_m3, everywhere, block.limit(lambda p: p.implausible_ratio)),
            analyse(
                block,
                "std_volume",
                block.std_volume_m3,
                alone,
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


def check_reversal(block: Block) -> Verdict:
    """Flag misread registers (`sensor_glitch` SUSPECT) and reversals (`register_reversed` FAIL).

    The rule is in `series.analyse`. A sample that fell or leapt is UNKNOWN until the next
    one decides (a revision); the onset of a reversal is the first low reading. Value of a
    reversal: how far the register fell, m³; of a misread register: none, for the catalogue's unit
    is that of temperatures.
    """
    registers = block.once(Registers.of)
    verdict = Verdict(state={**registers.volume.state, **registers.std_volume.state})
    glitch: list[Flags] = []
    turned: list[Flags] = []
    for name, series in (("volume", registers.volume), ("std_volume", registers.std_volume)):
        nothing, fall = np.full(len(series.value), np.nan), series.before - series.value
        misread = _Finding("sensor_glitch", f"glitch_{name}", series.glitch, nothing, series.waited)
        reversal = _Finding("register_reversed", f"reversed_{name}", series.reversed, fall, series.fell)
        glitch.append(_speak(block, verdict, series, misread))
        turned.append(_speak(block, verdict, series, reversal))
    verdict.flags = {"sensor_glitch": worst(*glitch), "register_reversed": worst(*turned)}
    for flags in verdict.flags.values():
        flags[block.dropout] = Flag.UNKNOWN
    return verdict


@dataclass(frozen=True, slots=True, eq=False)
class _Finding:
    """One check's word on one series."""

    code: str
    #: Field of the state.
    name: str
    flag: Flags
    value: Floats
    waited: Mask


def _speak(block: Block, verdict: Verdict, series: Series, finding: _Finding) -> Flags:
    """Add a finding to the verdict; give the flags of the block's readings."""
    new = ~series.tailed.is_tail
    entries = Decisions(
        seg=series.tailed.seg, time_us=series.time_us, flag=finding.flag, value=finding.value
    ).take(new | finding.waited)
    limit: Limit = np.nan if finding.code == "sensor_glitch" else block.meters.register_step_m3
    block.track(
        verdict,
        entries,
        Tracker(code=finding.code),
        limit,
        limit_name=None if finding.code == "sensor_glitch" else "register_step_m3",
        name=finding.name,
    )
    of = (series.time_us, series.seq, finding.flag)
    block.revise(verdict, finding.code, series.tailed, finding.waited, of)
    out = np.where(series.present, np.uint8(Flag.UNKNOWN), np.uint8(Flag.MISSING))
    out[series.steady | series.suspicious] = finding.flag[new]
    return out


CHECK = Check(
    codes=("sensor_glitch", "register_reversed"),
    run=check_reversal,
    carries=tuple((f"{name}_{field}", kind) for name in ("volume", "std_volume") for field, kind in FIELDS),
    tracks=("glitch_volume", "glitch_std_volume", "reversed_volume", "reversed_std_volume"),
)
