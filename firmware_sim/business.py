"""The invented customers: kinds of business, the meters they have and how they burn gas."""

from __future__ import annotations

from dataclasses import dataclass

from fleet.meters import CustomerKind, ReadingClass

_WELFARE = CustomerKind.PUBLIC_WELFARE


@dataclass(frozen=True, slots=True)
class Business:
    """One kind of customer."""

    name: str
    kind: CustomerKind
    #: One of `load.PROFILES`.
    profile: str
    roots_sizes: tuple[str, ...] = ()
    diaphragm_sizes: tuple[str, ...] = ()
    #: The second meter of such a customer, where it has one, feeds its boiler.
    has_boiler: bool = False


BUSINESSES: tuple[Business, ...] = (
    Business("Hotel", CustomerKind.COMMERCIAL, "hotel", roots_sizes=("G40", "G65", "G100"), has_boiler=True),
    Business(
        "Noodle Restaurant", CustomerKind.COMMERCIAL, "restaurant", diaphragm_sizes=("G6", "G10", "G16")
    ),
    Business("School Canteen", _WELFARE, "school", diaphragm_sizes=("G10", "G16", "G25"), has_boiler=True),
    Business("Bakery", CustomerKind.COMMERCIAL, "bakery", diaphragm_sizes=("G4", "G6", "G10")),
    Business("Food Plant", CustomerKind.INDUSTRIAL, "boiler", roots_sizes=("G100", "G160", "G250", "G400")),
    Business("Hospital Kitchen", _WELFARE, "hotel", roots_sizes=("G40", "G65"), has_boiler=True),
    Business("Laundry", CustomerKind.COMMERCIAL, "boiler", ("G40", "G65"), ("G25", "G40")),
    Business("Hotpot Restaurant", CustomerKind.COMMERCIAL, "restaurant", ("G40",), ("G16", "G25")),
    Business("Care Home", _WELFARE, "hotel", diaphragm_sizes=("G10", "G16"), has_boiler=True),
    Business("Ceramics Works", CustomerKind.INDUSTRIAL, "boiler", roots_sizes=("G160", "G250", "G650")),
)

#: How often a kind of customer is read, likeliest first.
READING_CLASSES: dict[CustomerKind, tuple[ReadingClass, ...]] = {
    CustomerKind.INDUSTRIAL: (ReadingClass.DAILY, ReadingClass.DAILY, ReadingClass.WEEKLY),
    CustomerKind.COMMERCIAL: (
        ReadingClass.WEEKLY,
        ReadingClass.THRICE_MONTHLY,
        ReadingClass.DAILY,
        ReadingClass.TWICE_MONTHLY,
    ),
    CustomerKind.PUBLIC_WELFARE: (
        ReadingClass.TWICE_MONTHLY,
        ReadingClass.THRICE_MONTHLY,
        ReadingClass.WEEKLY,
    ),
}

#: Teams, not people: the simulation invents nobody.
MANAGERS = ("team north", "team south", "team harbour", "team riverside")
CONTACTS = ("front desk", "kitchen", "boiler room", "gatehouse", None)
