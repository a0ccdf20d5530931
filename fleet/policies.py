"""Which limits apply to a meter: its own, its model's, its company's, or the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
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


Overrides = Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class ResolvedPolicy:
    """The policy of some meters, and where each of its values comes from."""

    policy: Policy
    #: Field of `Policy` -> origin; one that is not here is the default.
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
    _known: dict[tuple[Any, ...], ResolvedPolicy] = field(default_factory=dict)

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
        values: dict[str, Any] = {}
        origin: dict[str, Origin] = {}
        for overrides, where in layers:
            values |= overrides
            origin |= dict.fromkeys(overrides, where)
        return ResolvedPolicy(replace(self.default, **values), origin)


DEFAULT_POLICIES = Policies()
