"""Every kind of fault, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from firmware_sim.fault_spec import Lasts, Spec
from firmware_sim.faults import Fault
from firmware_sim.reading_faults import READING_FAULTS
from firmware_sim.slow_faults import SLOW_FAULTS

__all__ = ["EXPECTED", "Lasts", "Spec"]

#: In the order in which meters get them.
EXPECTED: Mapping[Fault, Spec] = MappingProxyType(READING_FAULTS | SLOW_FAULTS)
