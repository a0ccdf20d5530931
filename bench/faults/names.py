"""The meters of the harness, and under which name ingest speaks."""

from __future__ import annotations

from bench.parts import hotel_meter
from fleet.meters import Meter

COMPANY = "north"
IDENTITY = "faults-ingest"
BUFFERED = tuple(f"B{number:02d}" for number in range(20))
#: Buffered too, but they send again only what they are asked for.
PATIENT = tuple(f"P{number:02d}" for number in range(5))
FORGETFUL = tuple(f"F{number:02d}" for number in range(30))
#: Readings are so much older than their sending, so that an hour's error of ingest's clock refuses none.
START_BEFORE_MS = 6 * 3600 * 1000


def meters() -> list[Meter]:
    """Make the registry's rows of all meters."""
    return [hotel_meter(COMPANY, meter_id) for meter_id in (*BUFFERED, *PATIENT, *FORGETFUL)]
