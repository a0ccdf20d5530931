"""Policies as a TOML file: everything that differs from the built-in defaults, each value checked."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, NamedTuple

from fleet.meters import Technology
from fleet.policies import Overrides, Policies, changed
from fleet.policy import BATTERIES, DEFAULT_POLICY
from fleet.policy_pairs import contradictions
from fleet.policy_rules import BATTERY_NUMBERS, LOW_BALANCE, NUMBERS, SHARE, Rule, is_day
from fleet.ratings import QMAX_M3H, is_g_size
from fleet.wire import is_id

_TABLES = ("default", "battery", "company", "model", "meter")


class PolicyError(NamedTuple):
    """Something in a policy file that cannot be taken."""

    #: The table and the name in it, for example `[company.north] idle_after_s`.
    where: str
    said: str

    def __str__(self) -> str:
        """Say where and what, as one line."""
        return f"{self.where}: {self.said}" if self.where else self.said


@dataclass(frozen=True, slots=True, eq=False)
class PolicyFile:
    """What a policy file says, table by table, and everything that is wrong with it."""

    #: What the group as a whole says, `[battery]` included.
    default: Overrides = field(default_factory=dict)
    companies: Mapping[str, Overrides] = field(default_factory=dict)
    models: Mapping[str, Overrides] = field(default_factory=dict)
    meters: Mapping[str, Overrides] = field(default_factory=dict)
    errors: tuple[PolicyError, ...] = ()

    def policies(self) -> Policies:
        """Give the limits; of a file with errors only what could be read."""
        return Policies(changed(DEFAULT_POLICY, self.default), self.companies, self.models, self.meters)


def read_policies(text: str) -> PolicyFile:
    """Read the text of a policy file.

    Every wrong name or value is an error of its own; where there is none, so is every pair of
    limits that contradict each other.
    """
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, tables in tables
        return PolicyFile(errors=(PolicyError("", f"is not TOML: {error}"),))
    reader = _Reader()
    read = reader.file(raw)
    return read if reader.errors else checked(read)


def checked(read: PolicyFile) -> PolicyFile:
    """Add to a file without errors those that lie between its tables."""
    wrong = contradictions(read.policies(), read.default)
    errors = tuple(PolicyError(one.where, one.sentence) for one in wrong)
    return PolicyFile(read.default, read.companies, read.models, read.meters, (*read.errors, *errors))


def hint(name: str, known: Iterable[str]) -> str:
    """Suggest what a misspelt name may have meant; "" where nothing is near."""
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


class _Reader:
    """Goes through a parsed file once and gathers what is wrong with it."""

    def __init__(self) -> None:
        self.errors: list[PolicyError] = []

    def file(self, raw: Mapping[str, Any]) -> PolicyFile:
        for name in raw.keys() - set(_TABLES):
            known = f"a file has the tables {', '.join(f'[{table}]' for table in _TABLES)}"
            place = (
                "; a limit for everybody belongs under [default]" if name in NUMBERS else hint(name, _TABLES)
            )
            self._wrong(f"[{name}]" if isinstance(raw[name], dict) else name, f"is unknown: {known}{place}")
        default = self._fields("default", self._table("default", raw.get("default", {})))
        if "battery" in default:
            self._wrong("[default.battery]", "write it as [battery.<type>]; it is the same for everybody")
        battery = self._batteries("battery", raw.get("battery", {}))
        read = PolicyFile(
            default={**default, **({"battery": battery} if battery else {})},
            companies=self._tables("company", raw.get("company", {}), self._id),
            models=self._tables("model", raw.get("model", {}), self._model),
            meters=self._tables("meter", raw.get("meter", {}), self._id),
        )
        return PolicyFile(read.default, read.companies, read.models, read.meters, tuple(sorted(self.errors)))

    def _tables(self, kind: str, raw: Any, check: Callable[[str, str], None]) -> dict[str, Overrides]:
        """Read `[kind.NAME]` for every name."""
        found: dict[str, Overrides] = {}
        for name, said in self._table(kind, raw).items():
            head = f'{kind}."{name}"' if "/" in name else f"{kind}.{name}"
            if kind != "model" and name in NUMBERS and not isinstance(said, dict):
                self._wrong(f"[{kind}] {name}", f"stands outside of a table; write it under [{kind}.<name>]")
                continue
            check(head, name)
            found[name] = self._fields(head, self._table(head, said))
        return found

    def _fields(self, head: str, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Read the limits of one table."""
        found: dict[str, Any] = {}
        for name, value in raw.items():
            if name == "low_balance":
                found[name] = self._low_balance(f"{head}.low_balance", value)
            elif name == "gas_composition":
                found[name] = self._table(f"{head}.{name}", value)
                for component, share in found[name].items():
                    self._number(f"[{head}.{name}] {component}", SHARE, share)
            elif name == "tariff":
                found[name] = self._tariff(f"{head}.{name}", value)
            elif name == "battery":
                found[name] = self._batteries(f"{head}.battery", value)
            elif name in NUMBERS:
                self._number(f"[{head}] {name}", NUMBERS[name], value)
                found[name] = value
            else:
                self._wrong(f"[{head}] {name}", f"is no limit of a policy{_place(head, name)}")
        return found

    def _low_balance(self, head: str, raw: Any) -> dict[str, Any]:
        units = DEFAULT_POLICY.low_balance
        if not isinstance(raw, dict):
            self._wrong(f"[{head}]", f"needs a unit: write {{ {next(iter(units))} = {raw!r} }}")
            return {}
        for unit, value in raw.items():
            if unit not in units:
                self._wrong(f"[{head}] {unit}", f"is no unit of a balance; one of {', '.join(units)}")
            self._number(f"[{head}] {unit}", LOW_BALANCE, value)
        return dict(raw)

    def _tariff(self, head: str, raw: Any) -> dict[str, tuple[float, ...]]:
        """Read the prices from each day on, one or a list of steps."""
        found: dict[str, tuple[float, ...]] = {}
        for day, said in self._table(head, raw).items():
            steps = said if isinstance(said, list) else [said]
            if not is_day(day):
                self._wrong(f"[{head}] {day}", 'is no day; write one like "2026-10-01"')
            if not steps:
                self._wrong(f"[{head}] {day}", "has no price; write one, or a list of steps")
            for step in steps:
                self._number(f"[{head}] {day}", NUMBERS["price_per_m3"], step)
            found[day] = tuple(steps)
        return found

    def _batteries(self, head: str, raw: Any) -> dict[str, Overrides]:
        found: dict[str, Overrides] = {}
        for kind, limits in self._table(head, raw).items():
            if kind not in BATTERIES:
                known = f"is no battery type; one of {', '.join(BATTERIES)}"
                self._wrong(f"[{head}.{kind}]", known + hint(kind, BATTERIES))
                continue
            found[kind] = self._table(f"{head}.{kind}", limits)
            for name, value in found[kind].items():
                where = f"[{head}.{kind}] {name}"
                if name in BATTERY_NUMBERS:
                    self._number(where, BATTERY_NUMBERS[name], value)
                else:
                    known = f"is no limit of a battery; one of {', '.join(BATTERY_NUMBERS)}"
                    self._wrong(where, known + hint(name, BATTERY_NUMBERS))
        return found

    def _table(self, head: str, raw: Any) -> dict[str, Any]:
        if isinstance(raw, dict):
            return raw
        self._wrong(f"[{head}]", "has to be a table; write the limits below it")
        return {}

    def _number(self, where: str, rule: Rule, value: Any) -> None:
        objection = rule.objection(value)
        if objection:
            self._wrong(where, objection)

    def _id(self, head: str, name: str) -> None:
        if not is_id(name):
            self._wrong(f"[{head}]", f"{name!r} is not 1 to 64 letters, digits, '_' or '-'")

    def _model(self, head: str, name: str) -> None:
        technology, slash, size = name.partition("/")
        if technology not in tuple(Technology):
            known = f"is no technology; one of {', '.join(Technology)}"
            self._wrong(f"[{head}]", f"{technology!r} {known}{hint(technology, Technology)}")
        if slash and not is_g_size(size):
            self._wrong(f"[{head}]", f"{size!r} is no meter size like G65{hint(size, QMAX_M3H)}")

    def _wrong(self, where: str, said: str) -> None:
        self.errors.append(PolicyError(where, said))


def _place(head: str, name: str) -> str:
    """Say where a name belongs that has no place here, or which one it may have meant."""
    if head.startswith("model.") and name in QMAX_M3H:
        return f'; a size is written [model."{head.removeprefix("model.")}/{name}"]'
    return hint(name, (*NUMBERS, "low_balance", "battery", "tariff"))
