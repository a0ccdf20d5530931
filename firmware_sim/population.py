"""A fleet of simulated meters: registry rows, devices and the faults that they will have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from firmware_sim.business import BUSINESSES, CONTACTS, MANAGERS, READING_CLASSES, Business
from firmware_sim.device import Device, DeviceTable
from firmware_sim.fault_plan import Given, assign_faults, plan_fault
from firmware_sim.fault_specs import EXPECTED, Spec
from firmware_sim.faults import LOCAL, Fault, InjectedFault, Level, Stage
from firmware_sim.load import QUIET_NIGHTS, RESTING
from firmware_sim.mix import EVERYDAY, Mix, disturb
from firmware_sim.outfit import outfit
from firmware_sim.registration import Site, register
from fleet.checks import BY_CODE
from fleet.meters import Meter
from fleet.wire import is_id

_COMPANY_IN_ID = 40
#: What a fault may need of a meter.
NEEDS: dict[str, Callable[[Site], bool]] = {
    "roots": lambda site: site.roots,
    "prepaid": lambda site: site.prepaid,
    "fast": lambda site: site.interval_s <= _FAST_S,
    "unhurried": lambda site: site.interval_s > _FAST_S,
    "resting": lambda site: site.profile in RESTING,
    "restless": lambda site: site.profile not in RESTING,
    "quiet nights": lambda site: site.profile in QUIET_NIGHTS,
}
_FAST_S = 120
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
        """List the meters on which each check must raise an alarm; weak faults promise nothing."""
        return self._meters(lambda spec: () if spec.check is None else (spec.check, *spec.side_effects))

    def tolerated(self) -> dict[str, list[str]]:
        """List the meters on which each check may raise an alarm besides, for a fault has other effects."""
        return self._meters(lambda spec: spec.may)

    def _meters(self, checks: Callable[[Spec], tuple[str, ...]]) -> dict[str, list[str]]:
        found: dict[str, set[str]] = {}
        for fault in self.faults:
            spec = EXPECTED[fault.fault]
            for check in () if fault.level is Level.WEAK or spec.undecided else checks(spec):
                if check in BY_CODE:
                    found.setdefault(check, set()).add(fault.meter_id)
        return {check: sorted(meter_ids) for check, meter_ids in sorted(found.items())}


def build_population(
    count: int,
    seed: int,
    *,
    start: datetime,
    end: datetime,
    company: str = "demo",
    fault_share: float = 0.3,
    mix: Mix = EVERYDAY,
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
    sites = _sites(count, seed, company, mix)
    given = assign_faults(
        count,
        fault_share,
        mix.turns(stage),
        lambda at, fault: _can_have(sites[at], fault),
        np.random.default_rng([seed, 1]),
    )
    made = [_make(site, place, seed, stage, given.get(place), mix) for place, site in enumerate(sites)]
    return Population(
        seed=seed,
        start=start,
        end=end,
        meters=[meter for meter, _, _ in made],
        faults=[fault for _, fault, _ in made if fault is not None],
        devices=DeviceTable.build([device for _, _, device in made]),
    )


def _make(
    site: Site, place: int, seed: int, stage: Stage, given: Given | None, mix: Mix
) -> tuple[Meter, InjectedFault | None, Device]:
    rng = np.random.default_rng([seed, 2, place])
    meter = register(site, given[0] if given else Fault.NONE, stage, rng)
    fault = plan_fault(given, meter.meter_id, site.interval_s, stage, rng) if given else None
    if fault is not None and fault.fault is Fault.METER_EXCHANGED:
        meter = replace(meter, installed_on=(fault.ends_at + LOCAL).date())
    disturbances = None
    if mix.disturbed:
        draws = np.random.default_rng([seed, 4, place])
        disturbances = disturb(
            site.profile, roots=site.roots, faulty=fault is not None, stage=stage, rng=draws
        )
    return meter, fault, outfit(site, meter, fault, stage, rng, disturbances)


def _can_have(site: Site, fault: Fault) -> bool:
    spec = EXPECTED[fault]
    return site.interval_s <= spec.slowest_s and (spec.needs is None or NEEDS[spec.needs](site))


def _sites(count: int, seed: int, company: str, mix: Mix) -> list[Site]:
    sites: list[Site] = []
    customers = dict.fromkeys((business.name for business in BUSINESSES), 0)
    while len(sites) < count:
        place = len(sites)
        rng = np.random.default_rng([seed, 3, place])
        business = BUSINESSES[place % len(BUSINESSES)]
        customers[business.name] += 1
        name = f"{business.name} {customers[business.name]}"
        sites.append(_site(business, name, company, place, rng, mix))
        if (
            business.has_boiler
            and rng.integers(_TWO_METERS_EVERY) < len(BUSINESSES) // 4
            and len(sites) < count
        ):
            boiler = Business(business.name, business.kind, "boiler", ("G40", "G65"))
            second = _site(boiler, name, company, place + 1, rng, mix)
            second.reading_class = sites[-1].reading_class
            sites.append(second)
    return sites


def _site(
    business: Business, customer: str, company: str, place: int, rng: np.random.Generator, mix: Mix
) -> Site:
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
        interval_s=mix.interval_s(rng),
        manager=MANAGERS[place % len(MANAGERS)],
        contact=CONTACTS[place % len(CONTACTS)],
    )
