"""All faults, and which of them can be tried here."""

from __future__ import annotations

from collections.abc import Sequence

from bench.faults.families import broker, clock, database, load, network, payload, process, whole
from bench.faults.fault import Fault, Need
from runtime.settings import Settings

_FAMILIES = (process, broker, database, network, clock, load, payload, whole)
FAULTS: tuple[Fault, ...] = tuple(fault for family in _FAMILIES for fault in family.FAULTS)


def choose(only: Sequence[str]) -> list[Fault]:
    """Give all faults, or those named. Raises ValueError for an unknown name."""
    known = {fault.name: fault for fault in FAULTS}
    unknown = [name for name in only if name not in known]
    if unknown:
        msg = f"no such fault: {', '.join(unknown)}; there are {', '.join(known)}"
        raise ValueError(msg)
    return [known[name] for name in only] if only else list(FAULTS)


def missing(*, own_server: bool, small_disks: bool) -> set[Need]:
    """Tell what faults may need and is not here."""
    there = {
        Need.OWN_SERVER: own_server,
        Need.SMALL_DISKS: small_disks,
        Need.SHARE: "mqtt_share" in Settings.model_fields,
    }
    return {need for need, is_there in there.items() if not is_there}
