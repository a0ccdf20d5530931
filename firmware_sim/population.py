"""A fleet of simulated meters: registry rows, devices and the faults that they will have."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from firmware_sim.business import BUSINESSES, CONTACTS, MANAGERS, READING_CLASSES, Business
from firmware_sim.device import DeviceTable
from firmware_sim.faults import EXPECTED, Fault, InjectedFault, Stage, assign_faults, plan_fault
from firmware_sim.outfit import outfit
from firmware_sim.registration import Site, register
from fleet.meters import Meter
from fleet.wire import is_id

_COMPANY_IN_ID = 40
#: Every so many customers has a second meter.
_TWO_METERS_EVERY = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Meters as the registry knows them, and what only the simulation knows."""

    seed: int
    start: datetime
    end: datetime
    meters: list[Meter]
    faults: list[InjectedFault]
    devices: DeviceTable = field(repr=False)

    def truth(self) -> dict[str, list[str]]:
        """List the meters on which each check must raise an alarm; on no others may it."""
        expected: dict[str, set[str]] = {}
        for fault in self.faults:
            for check in fault.checks:
                expected.setdefault(check, set()).add(fault.meter_id)
        return {check: sorted(meter_ids) for check, meter_ids in sorted(expected.items())}


def build_population(
    count: int, seed: int, *, start: datetime, end: datetime, company: str = "demo", fault_share: float = 0.3
) -> Population:
    """Invent `count` meters and their faults; the same arguments give the same population.

    `start` and `end` (with time zones, at least two days apart) bound the history in which
    every fault begins. Raises ValueError for a history too short, a share outside 0 to 1 or a
    company's code that cannot stand in a topic.
    """
    if not is_id(company):
        msg = f"{company!r} is not 1 to 64 letters, digits, '_' or '-'"
        raise ValueError(msg)
    if not 0.0 <= fault_share <= 1.0:
        msg = f"the share of meters with a fault is {fault_share:g}, not 0 to 1"
        raise ValueError(msg)
    stage = Stage(start=start, end=end)
    sites = _sites(count, seed, company)
    given = assign_faults(
        count, fault_share, lambda at, fault: _can_have(sites[at], fault), np.random.default_rng([seed, 1])
    )
    meters, devices, faults = [], [], []
    for place, site in enumerate(sites):
        rng = np.random.default_rng([seed, 2, place])
        fault = given.get(place, Fault.NONE)
        meter = register(site, fault, stage, rng)
        injected = (
            plan_fault(fault, meter.meter_id, site.interval_s, stage, rng)
            if fault is not Fault.NONE
            else None
        )
        meters.append(meter)
        devices.append(outfit(site, meter, injected, stage, rng))
        faults += [injected] if injected else []
    return Population(
        seed=seed, start=start, end=end, meters=meters, faults=faults, devices=DeviceTable.build(devices)
    )


def _can_have(site: Site, fault: Fault) -> bool:
    needs = EXPECTED[fault].needs
    return needs is None or (site.roots if needs == "roots" else site.prepaid)


def _sites(count: int, seed: int, company: str) -> list[Site]:
    sites: list[Site] = []
    customers = dict.fromkeys((business.name for business in BUSINESSES), 0)
    while len(sites) < count:
        place = len(sites)
        rng = np.random.default_rng([seed, 3, place])
        business = BUSINESSES[place % len(BUSINESSES)]
        customers[business.name] += 1
        name = f"{business.name} {customers[business.name]}"
        sites.append(_site(business, name, company, place, rng))
        if (
            business.has_boiler
            and rng.integers(_TWO_METERS_EVERY) < len(BUSINESSES) // 4
            and len(sites) < count
        ):
            boiler = Business(business.name, business.kind, "boiler", ("G40", "G65"))
            second = _site(boiler, name, company, place + 1, rng)
            second.reading_class = sites[-1].reading_class
            sites.append(second)
    return sites


def _site(business: Business, customer: str, company: str, place: int, rng: np.random.Generator) -> Site:
    roots = bool(business.roots_sizes) and (not business.diaphragm_sizes or bool(rng.integers(2)))
    sizes = business.roots_sizes if roots else business.diaphragm_sizes
    classes = READING_CLASSES[business.kind]
    return Site(
        meter_id=f"{company[:_COMPANY_IN_ID]}-{'rt' if roots else 'ic'}-{place + 1:05d}",
        company=company,
        customer=customer,
        customer_kind=business.kind,
        reading_class=classes[int(rng.integers(len(classes)))],
        profile=business.profile,
        roots=roots,
        # Some Roots meters carry the controller of an IC-card meter, with its own battery.
        prepaid=not roots or int(rng.integers(10)) < 3,  # noqa: PLR2004 (three in ten)
        g_size=sizes[int(rng.integers(len(sizes)))],
        interval_s=int(rng.choice([600, 900, 1800, 3600], p=[0.2, 0.2, 0.3, 0.3])),
        manager=MANAGERS[place % len(MANAGERS)],
        contact=CONTACTS[place % len(CONTACTS)],
    )
