"""How far a gas is from ideal, for volume correction."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from analytics.block import Floats

#: Base conditions of gas volumes in China: 20 Cel, 101.325 kPa.
BASE_PRESSURE_KPA, BASE_TEMPERATURE_K = 101.325, 293.15
ZERO_CELSIUS_K = 273.15

#: Components of a gas composition, by their names in pyaga8.
COMPONENTS = (
    "methane",
    "nitrogen",
    "carbon_dioxide",
    "ethane",
    "propane",
    "isobutane",
    "n_butane",
    "isopentane",
    "n_pentane",
    "hexane",
    "heptane",
    "octane",
    "nonane",
    "decane",
    "hydrogen",
    "oxygen",
    "carbon_monoxide",
    "water",
    "hydrogen_sulfide",
    "helium",
    "argon",
)

_GAS_CONSTANT = 8.314462618  # J/(mol K)
#: Second virial coefficient of methane, cm³/mol, at 273.15 K, and its slope per K: a straight line
#: through the tabulated values at 273 and 298 K, good to 1 cm³/mol from 260 to 320 K. Our own fit.
_METHANE_B_CM3, _METHANE_SLOPE = -53.4, 0.42
#: The table that AGA8 is asked for; between its points the ratio is as good as straight.
_PRESSURES_KPA = np.array([50.0, 100.0, 200.0, 400.0, 800.0, 1600.0, 3200.0, 6400.0])
_TEMPERATURES_K = np.array([243.15, 263.15, 283.15, 303.15, 323.15, 343.15])


def base_over_line(pressure_kpa: Floats, temperature_c: Floats, gas: Mapping[str, float]) -> Floats:
    """Give Z_b / Z, the compressibility at base conditions over that in the pipe; shapes as given.

    By AGA8 (DETAIL) for a stated composition in mole fractions, where the optional library pyaga8 is
    installed; else for pure methane by its second virial coefficient, Z = 1 + B P / (R T), which for
    a natural gas of 94 % methane is within 0.05 % up to 500 kPa and 0.2 % up to 1.6 MPa of AGA8. Pressure is
    absolute, kPa; temperature Cel. Raises ValueError for a composition that AGA8 refuses.

    Source: AGA Report No. 8, Part 1, 2017, for the equation of state.
    """
    temperature_k = temperature_c + ZERO_CELSIUS_K
    table = _aga8_table(tuple(sorted(gas.items()))) if gas else None
    if table is None:
        base = _methane(np.array([BASE_PRESSURE_KPA]), np.array([BASE_TEMPERATURE_K]))
        return np.asarray(base / _methane(pressure_kpa, temperature_k))
    base_z, line_z = table
    return np.asarray(base_z / _between(line_z, pressure_kpa, temperature_k))


def correction_factor(pressure_kpa: Floats, temperature_c: Floats, gas: Mapping[str, float]) -> Floats:
    """Give V_b / V = (P / P_b) (T_b / T) (Z_b / Z); NaN where P or T is not known or not possible."""
    pressure = np.where(pressure_kpa > 0, pressure_kpa, np.nan)
    temperature_k = temperature_c + ZERO_CELSIUS_K
    ideal = pressure / BASE_PRESSURE_KPA * BASE_TEMPERATURE_K / temperature_k
    return np.asarray(ideal * base_over_line(pressure, temperature_c, gas))


def _methane(pressure_kpa: Floats, temperature_k: Floats) -> Floats:
    b = _METHANE_B_CM3 + _METHANE_SLOPE * (temperature_k - ZERO_CELSIUS_K)
    # cm³ kPa is mJ.
    return 1.0 + b * pressure_kpa * 1e-3 / (_GAS_CONSTANT * temperature_k)


@lru_cache(maxsize=64)
def _aga8_table(gas: tuple[tuple[str, float], ...]) -> tuple[float, Floats] | None:
    """Tabulate Z over pressures and temperatures; None where the library is not installed."""
    try:
        aga8 = importlib.import_module("pyaga8")
    except ImportError:
        return None
    composition = aga8.Composition()
    for name, fraction in gas:
        if name not in COMPONENTS:
            msg = f"no such component of a gas: {name}"
            raise ValueError(msg)
        setattr(composition, name, fraction)
    detail = aga8.Detail()
    detail.set_composition(composition)

    def z(pressure_kpa: float, temperature_k: float) -> float:
        detail.pressure, detail.temperature = pressure_kpa, temperature_k
        detail.calc_density()
        detail.calc_properties()
        return float(detail.z)

    line = np.array([[z(p, t) for t in _TEMPERATURES_K.tolist()] for p in _PRESSURES_KPA.tolist()])
    return z(BASE_PRESSURE_KPA, BASE_TEMPERATURE_K), line


def _between(table: Floats, pressure_kpa: Floats, temperature_k: Floats) -> Floats:
    """Interpolate in both directions; outside the table its border counts."""
    p_at, p_part = _place(_PRESSURES_KPA, pressure_kpa)
    t_at, t_part = _place(_TEMPERATURES_K, temperature_k)
    low = table[p_at, t_at] * (1 - t_part) + table[p_at, t_at + 1] * t_part
    high = table[p_at + 1, t_at] * (1 - t_part) + table[p_at + 1, t_at + 1] * t_part
    return np.asarray(low * (1 - p_part) + high * p_part)


def _place(points: Floats, values: Floats) -> tuple[np.ndarray, Floats]:
    at = np.clip(np.searchsorted(points, values, side="right") - 1, 0, len(points) - 2)
    part = (values - points[at]) / (points[at + 1] - points[at])
    return at, np.asarray(np.clip(part, 0.0, 1.0))
