import numpy as np
import pytest

from firmware_sim.ledger import Delivery, Ledger
from fleet.readings import ReadingBatch


@pytest.fixture
def ledger() -> Ledger:
    """Meter 0: boots 1 (seq 1 to 3) and 2 (seq 1 to 2); meter 4: boot 1 (seq 1 to 2)."""
    batch = ReadingBatch.build(
        meter_key=[0, 0, 0, 0, 0, 4, 4],
        device_time_us=np.arange(7),
        boot=[1, 1, 1, 2, 2, 1, 1],
        seq=[1, 2, 3, 1, 2, 1, 2],
    )
    return Ledger(batch)


def test_a_confirmation_covers_one_boot_of_one_meter_up_to_seq(ledger):
    ledger.mark(np.arange(7), Delivery.ACKNOWLEDGED)

    assert ledger.confirm(0, 1, 2) == 2

    assert ledger.unconfirmed().tolist() == [2, 3, 4, 5, 6]


def test_the_same_confirmation_again_is_no_news(ledger):
    ledger.mark(np.arange(7), Delivery.SENT)

    assert [ledger.confirm(0, 1, 3), ledger.confirm(0, 1, 3), ledger.confirm(0, 1, 1)] == [3, 0, 0]


def test_what_was_never_sent_cannot_be_confirmed(ledger):
    ledger.mark([0], Delivery.SENT)

    assert ledger.confirm(0, 1, 99) == 1
    assert ledger.count(Delivery.CONFIRMED) == 1


@pytest.mark.parametrize(("meter", "boot"), [(1, 1), (5, 1), (0, 3), (-1, 1)])
def test_strangers_are_nobody(ledger, meter, boot):
    ledger.mark(np.arange(7), Delivery.SENT)

    assert ledger.confirm(meter, boot, 99) == 0


def test_a_state_never_goes_back(ledger):
    ledger.mark([3], Delivery.CONFIRMED)

    assert ledger.mark([3, 4], Delivery.ACKNOWLEDGED) == 1
    assert ledger.delivery[[3, 4]].tolist() == [Delivery.CONFIRMED, Delivery.ACKNOWLEDGED]


def test_a_range_is_found_whatever_the_order_of_the_rows():
    batch = ReadingBatch.build(
        meter_key=[2, 1, 2, 2], device_time_us=[0, 0, 0, 0], boot=[1, 1, 1, 1], seq=[9, 9, 7, 8]
    )

    assert Ledger(batch).find(2, 1, 8, 20).tolist() == [3, 0]
