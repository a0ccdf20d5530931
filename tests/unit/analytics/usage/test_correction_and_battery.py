"""Volume correction, and the weeks that a battery has left."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from analytics.usage import compressibility
from analytics.usage.compressibility import correction_factor

USUAL = [0.0] * 8 + [20.0] * 10 + [0.0] * 6
#: 20 Cel and three times the base pressure: three times the volume, and a third of a per cent for Z.
WARM = {"temperature_c": 20.0, "pressure_kpa": 303.975}


def reported(days: int, factor: np.ndarray | float) -> dict:
    hours = np.array(USUAL * days)
    standard = 5000.0 + np.concatenate([[0.0], np.cumsum(hours * factor)])
    return {
        "std_volume_m3": np.round(standard, 6),
        **{name: np.full(days * 24 + 1, value) for name, value in WARM.items()},
    }


def test_three_days_of_a_wrong_factor_are_a_mismatch(days_of) -> None:
    factor = np.where(np.arange(6 * 24) < 48, 3.01, 2.6)
    found = days_of(USUAL * 6, **reported(6, factor))
    # The right one is 3 * 1.0038 = 3.011; 2.6 is 13.7 % less.
    assert found.flags("correction_mismatch") == "gg" + "gg" + "FF"
    assert found.episodes("correction_mismatch") == [(2, None, 2, 0.137, 0.03)]


@pytest.mark.parametrize(("last_hour", "flags"), [(2.0, "uuF"), (1.0, "uuu")])
def test_a_day_must_have_twenty_steps_of_gas(days_of, last_hour: float, flags: str) -> None:
    # The register shows whole m³: 20 a day, or 19.
    hours = ([0.0] * 8 + [2.0] * 9 + [last_hour] + [0.0] * 6) * 3
    standard = 5000.0 + 2.0 * np.concatenate([[0.0], np.cumsum(hours)])
    columns = reported(3, 2.0) | {"std_volume_m3": standard}
    found = days_of(hours, **columns, meter={"register_step": 1.0})
    assert found.flags("correction_mismatch") == flags


def test_two_per_cent_are_allowed(days_of) -> None:
    assert days_of(USUAL * 5, **reported(5, 2.95)).flags("correction_mismatch") == "g" * 5


def test_a_device_that_shows_one_register_twice_does_not_correct(days_of) -> None:
    both = reported(5, 1.0)
    both["std_volume_m3"] -= 4000.0
    assert set(days_of(USUAL * 5, **both).flags("correction_mismatch")) == {"u"}


def test_without_pressure_it_is_missing_and_without_gas_unknown(days_of) -> None:
    no_pressure = reported(5, 2.0) | {"pressure_kpa": None}
    assert set(days_of(USUAL * 5, **no_pressure).flags("correction_mismatch")) == {"-"}
    idle = reported(5, 3.0) | {"std_volume_m3": np.full(121, 5000.0)}
    assert set(days_of([0.0] * 120, **idle).flags("correction_mismatch")) == {"u"}


def test_the_factor_of_an_ideal_and_a_real_gas() -> None:
    base = correction_factor(np.array([101.325]), np.array([20.0]), {})
    assert base[0] == pytest.approx(1.0)
    colder = correction_factor(np.array([101.325]), np.array([-10.0]), {})
    assert colder[0] == pytest.approx(293.15 / 263.15, rel=2e-3)
    # Methane at 1 MPa and 20 Cel has Z = 0.981 or so (its second virial coefficient alone: 0.9815).
    pressed = correction_factor(np.array([1000.0]), np.array([20.0]), {})
    assert pressed[0] == pytest.approx(1000 / 101.325 * 0.9981 / 0.9815, rel=2e-3)
    assert np.isnan(correction_factor(np.array([np.nan, 0.0]), np.array([20.0, 20.0]), {})).all()


def test_a_stated_gas_goes_by_aga8_where_it_is_there_and_by_methane_where_not(monkeypatch) -> None:
    compressibility._aga8_table.cache_clear()
    monkeypatch.setitem(sys.modules, "pyaga8", None)
    pressure, temperature = np.array([1000.0]), np.array([20.0])
    plain = correction_factor(pressure, temperature, {})
    assert correction_factor(pressure, temperature, {"methane": 1.0}) == plain
    compressibility._aga8_table.cache_clear()

    class Detail:
        """Z falls by a ten-thousandth per 10 kPa, whatever the gas."""

        def set_composition(self, gas: object) -> None:
            self.gas = gas

        def calc_density(self) -> None:
            self.z = 1.0 - self.pressure * 1e-5

        def calc_properties(self) -> None:
            return

    fake = SimpleNamespace(Detail=Detail, Composition=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "pyaga8", fake)
    found = correction_factor(pressure, temperature, {"methane": 0.9, "nitrogen": 0.1})
    compressibility._aga8_table.cache_clear()
    assert found[0] == pytest.approx(1000 / 101.325 * (1 - 101.325e-5) / (1 - 1e-2))


def test_pyaga8_itself_agrees_with_methane_to_a_thousandth() -> None:
    pytest.importorskip("pyaga8", reason="needs the optional pyaga8")
    compressibility._aga8_table.cache_clear()
    pressure, temperature = np.array([101.325, 300.0, 500.0]), np.array([0.0, 20.0, 30.0])
    by_aga8 = correction_factor(pressure, temperature, {"methane": 1.0})
    assert by_aga8 == pytest.approx(correction_factor(pressure, temperature, {}), rel=1e-3)


def test_a_falling_battery_is_forecast_by_its_slope(days_of) -> None:
    # Alkaline: critical at 4.5 V. From 5.705 V it loses 0.01 V a day.
    hours = [1.0] * 24 * 60
    volts = 5.705 - 0.01 * (np.arange(60 * 24 + 1) // 24)
    found = days_of(hours, battery_v=volts, meter={"battery_type": "alkaline_6v"})
    flags = found.flags("battery_forecast")
    # Four weeks are known on day 21, the middle of the last one being day 18: 5.525 V, 102.5 days left.
    assert flags[:21] == "u" * 21
    assert flags[21:] == "g" * 13 + "S" * 26
    (episode,) = found.episodes("battery_forecast")
    assert episode == (34, None, 26, 64.5, 90.0)


def test_after_a_replacement_it_begins_anew(days_of) -> None:
    day = np.arange(70 * 24 + 1) // 24
    volts = np.where(day < 42, 5.7 - 0.02 * day, 6.2 - 0.0005 * day)
    found = days_of([1.0] * 24 * 70, battery_v=volts, meter={"battery_type": "alkaline_6v"})
    flags = found.flags("battery_forecast")
    assert "F" in flags[:42]
    assert set(flags[60:]) <= {"u", "g"}


def test_the_meters_own_estimate_goes_first(days_of) -> None:
    left = np.array([120.0] * 24 + [60.0] * 24 + [20.0] * 25)
    found = days_of([1.0] * 72, battery_v=np.full(73, 3.6), battery_days=left)
    assert found.flags("battery_forecast") == "gSF"


def test_a_flat_voltage_that_breathes_has_no_end(days_of) -> None:
    breathing = 3.6 + 0.02 * np.sin(np.arange(60 * 24 + 1) / 24 / 20)
    found = days_of([1.0] * 24 * 60, battery_v=breathing, meter={"battery_type": "lithium_3v6"})
    assert set(found.flags("battery_forecast")) == {"u", "g"}


def test_nothing_reported_is_missing_and_zero_is_nothing(days_of) -> None:
    assert set(days_of([1.0] * 240).flags("battery_forecast")) == {"-"}
    assert set(days_of([1.0] * 240, battery_v=np.zeros(241)).flags("battery_forecast")) == {"-"}
