import numpy as np
import pytest

from firmware_sim.load import HOUR_US, LOCAL_OFFSET_US, PROFILES, local_day, local_hour, utilisation
from firmware_sim.noise import Channel, uniform

MONDAY_2026_11_16_US = 1_794_787_200_000_000 - LOCAL_OFFSET_US


def test_noise_depends_on_meter_slot_channel_and_seed_alone():
    meter, slot = np.repeat(np.arange(50), 40), np.tile(np.arange(40), 50)
    shuffled = np.random.default_rng(0).permutation(len(meter))

    whole = uniform(7, Channel.DEMAND, meter, slot)

    assert np.array_equal(uniform(7, Channel.DEMAND, meter[shuffled], slot[shuffled]), whole[shuffled])
    assert len(np.unique(whole)) == len(whole)
    assert not np.array_equal(uniform(8, Channel.DEMAND, meter, slot), whole)
    assert not np.array_equal(uniform(7, Channel.SNAPSHOT, meter, slot), whole)


def test_noise_is_evenly_spread_and_neighbours_have_nothing_in_common():
    values = uniform(1, Channel.DAY, np.zeros(100_000, dtype=int), np.arange(100_000))

    assert values.min() >= 0
    assert values.max() < 1
    assert values.mean() == pytest.approx(0.5, abs=0.005)
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.01


def test_local_time_is_eight_hours_ahead_of_utc():
    time_us = np.array([MONDAY_2026_11_16_US, MONDAY_2026_11_16_US + 13 * HOUR_US + HOUR_US // 2])

    assert local_hour(time_us).tolist() == [0.0, 13.5]
    assert np.diff(local_day(time_us)).tolist() == [0]


def test_a_school_eats_on_weekdays_and_hardly_on_sunday():
    school = np.array([PROFILES.index("school")] * 7)
    noons = MONDAY_2026_11_16_US + (12 * 24 * HOUR_US // 24) + np.arange(7) * 24 * HOUR_US

    shares = utilisation(school, noons)

    assert (shares[:5] == shares[0]).all()
    assert 0 < shares[6] == shares[5] < shares[0] / 2


@pytest.mark.parametrize("profile", range(len(PROFILES)))
def test_everybody_burns_something_at_noon_of_every_day(profile):
    noons = MONDAY_2026_11_16_US + 12 * HOUR_US + np.arange(7) * 24 * HOUR_US

    assert (utilisation(np.full(7, profile), noons) > 0).all()
