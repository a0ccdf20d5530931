"""Which limits apply to a meter: its own, its model's, its company's, or the defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from types import MappingProxyType
from typing import Any

from fleet.policy import DEFAULT_POLICY, Policy


class Origin(IntEnum):
    """Where a limit comes from; the smallest number wins."""

    #: The check has no limit that anybody could set.
    NONE = 0
    METER = 1
    #: The meter's model: its technology and size, or its battery's type.
    MODEL = 2
    #: The company's policy.
    COMPANY = 3
    DEFAULT = 4

    @property
    def word(self) -> str | None:
        """Say it in a word, for the database and the API; None for NONE."""
        return None if self is Origin.NONE else self.name.lower()

    @classmethod
    def of_word(cls, word: str | None) -> Origin:
        """Find the origin that a word stands for."""
        return cls.NONE if word is None else cls[word.upper()]


#: Field of `Policy` -> value; of `low_balance` and `battery` only what differs, as a mapping again.
Overrides = Mapping[str, Any]


def changed(policy: Policy, overrides: Overrides) -> Policy:
    """Give a policy with some of its values replaced; what a mapping does not name stays."""
    values = dict(overrides)
    if "low_balance" in values:
        values["low_balance"] = MappingProxyType({**policy.low_balance, **values["low_balance"]})
    if "gas_composition" in values:
        values["gas_composition"] = MappingProxyType(dict(values["gas_composition"]))
    if "tariff" in values:
        values["tariff"] = MappingProxyType({day: tuple(steps) for day, steps in values["tariff"].items()})
    if "battery" in values:
        of_type = {kind: replace(policy.battery[kind], **said) for kind, said in values["battery"].items()}
        values["battery"] = MappingProxyType({**policy.battery, **of_type})
    return replace(policy, **values)


def named(overrides: Overrides) -> Iterator[str]:
    """List what overrides speak of, for example `idle_after_s` or `battery.lithium_3v6.warn_v`."""
    for name, value in overrides.items():
        if isinstance(value, Mapping):
            yield from (f"{name}.{inner}" for inner in named(value))
        else:
            yield name


@dataclass(frozen=True, slots=True, eq=False)
class ResolvedPolicy:
    """The policy of some meters, and where each of its values comes from."""

    policy: Policy
    #: Name, as `named` lists it -> origin; one that is not here is the default.
    origin: Mapping[str, Origin] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Policies:
    """What differs from the defaults: for a company, a model or a single meter.

    A meter's word goes before its model's, that before its company's, that before the default.
    """

    default: Policy = DEFAULT_POLICY
    #: Company's code -> field of `Policy` -> value.
    companies: Mapping[str, Overrides] = field(default_factory=dict)
    #: Technology, or technology/size as in `roots/G65`; the longer one wins.
    models: Mapping[str, Overrides] = field(default_factory=dict)
    meters: Mapping[str, Overrides] = field(default_factory=dict)
    _known: dict[tuple[Any, ...], ResolvedPolicy] = field(default_factory=dict, init=False)

    def of(self, meter_id: str, company: str, technology: str, g_size: str | None) -> ResolvedPolicy:
        """Resolve the policy of a meter; meters of the same one share the same object."""
        model = f"{technology}/{g_size}"
        key = (
            company if company in self.companies else None,
            technology if technology in self.models else None,
            model if model in self.models else None,
            meter_id if meter_id in self.meters else None,
        )
        if key not in self._known:
            self._known[key] = self._resolve(*key)
        return self._known[key]

    def _resolve(
        self, company: str | None, technology: str | None, model: str | None, meter_id: str | None
    ) -> ResolvedPolicy:
        layers = (
            (self.companies.get(company or "", {}), Origin.COMPANY),
            (self.models.get(technology or "", {}), Origin.MODEL),
            (self.models.get(model or "", {}), Origin.MODEL),
            (self.meters.get(meter_id or "", {}), Origin.METER),
        )
        policy = self.default
        origin: dict[str, Origin] = {}
        for overrides, where in layers:
            policy = changed(policy, overrides)
            origin |= dict.fromkeys(named(overrides), where)
        return ResolvedPolicy(policy, origin)


DEFAULT_POLICIES = Policies()
