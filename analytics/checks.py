"""Every check that looks at readings, in the order in which they run."""

from __future__ import annotations

from analytics.battery import voltage
from analytics.block import Check
from analytics.data import clock, dropout, silence, status, temperature
from analytics.flow import over_range, rate, spike, stuck, sustained, under_range
from analytics.oil import account as oil
from analytics.prepaid import balance, frozen, uncounted, valve_closed, without_balance
from analytics.register import idle, reversal, stalled

CHECKS: tuple[Check, ...] = (
    dropout.CHECK,
    temperature.CHECK,
    reversal.CHECK,
    over_range.CHECK,
    sustained.CHECK,
    under_range.CHECK,
    spike.CHECK,
    rate.CHECK,
    stuck.CHECK,
    stalled.CHECK,
    idle.CHECK,
    balance.CHECK,
    valve_closed.CHECK,
    without_balance.CHECK,
    frozen.CHECK,
    uncounted.CHECK,
    voltage.CHECK,
    oil.CHECK,
    silence.CHECK,
    clock.CHECK,
    status.CHECK,
)

#: Codes that flag readings, each once.
READING_CHECKS: tuple[str, ...] = tuple(dict.fromkeys(code for check in CHECKS for code in check.codes))

#: Codes that judge a sample by the next one: what decides on it is the reading after it.
LOOKING_AHEAD = frozenset(code for check in CHECKS for code in check.looks_ahead)
