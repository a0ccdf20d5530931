"""Rated ranges of meter sizes.

Qmin is not a function of the G size: it is Qmax over the turndown that the individual meter
was certified for. So a table gives Qmax, and Qmin only for a known turndown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

#: G size -> Qmax, m³/h. Rotary sizes from a manufacturer's data sheet; below G40 the usual
#: diaphragm sizes, common knowledge without a source at hand.
QMAX_M3H = MappingProxyType(
    {
        "G1.6": 2.5,
        "G2.5": 4.0,
        "G4": 6.0,
        "G6": 10.0,
        "G10": 16.0,
        "G16": 25.0,
        "G25": 40.0,
        "G40": 65.0,
        "G65": 100.0,
        "G100": 160.0,
        "G160": 250.0,
        "G250": 400.0,
        "G400": 650.0,
        "G650": 1000.0,
        "G1000": 1600.0,
        "G1600": 2500.0,
    }
)

#: G size -> turndown -> Qmin, m³/h: rotary meters, one manufacturer's data sheet.
ROTARY_QMIN_M3H: Mapping[str, Mapping[int, float]] = MappingProxyType(
    {
        "G40": {10: 6, 20: 3, 30: 2, 50: 1.3, 100: 0.65},
        "G65": {10: 10, 20: 5, 30: 3, 50: 2, 100: 1, 160: 0.6},
        "G100": {10: 16, 20: 8, 30: 5, 50: 3, 100: 1.6, 160: 1},
        "G160": {10: 25, 20: 13, 30: 8, 50: 5, 100: 2.5, 160: 1.6},
        "G250": {10: 40, 20: 20, 30: 13, 50: 8, 100: 4, 160: 2.5},
        "G400": {10: 65, 20: 32, 30: 20, 50: 13, 100: 6.5, 160: 4},
        "G650": {10: 100, 20: 50, 30: 32, 50: 20, 100: 10},
        "G1000": {10: 160, 20: 80, 30: 50, 50: 32, 100: 16},
        "G1600": {10: 250, 20: 130},
    }
)

#: Certified turndown assumed where neither the meter's Qmin nor its turndown is on record.
#: Diaphragm meters reach at least 150:1 (sourced); the others are cautious defaults.
DEFAULT_TURNDOWN = MappingProxyType({"roots": 20, "diaphragm": 150, "turbine": 20, "ultrasonic": 150})


_G_SIZE = re.compile(r"G[0-9]{1,5}(\.[0-9])?")


def is_g_size(text: str) -> bool:
    """Tell whether a text is written like a meter size, for example G65."""
    return _G_SIZE.fullmatch(text) is not None


def default_qmax_m3h(g_size: str) -> float | None:
    """Look up Qmax of a G size, m³/h; None for a size that no table has."""
    return QMAX_M3H.get(g_size.strip().upper())


def default_qmin_m3h(g_size: str, qmax_m3h: float, technology: str) -> float:
    """Choose Qmin, m³/h, for a meter whose own certified Qmin is not on record."""
    turndown = DEFAULT_TURNDOWN[technology]
    table = ROTARY_QMIN_M3H.get(g_size.strip().upper(), {}) if technology == "roots" else {}
    return float(table.get(turndown, qmax_m3h / turndown))
