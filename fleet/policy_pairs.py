"""Contradictions between limits that stand in different places of a policy file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from itertools import product
from typing import Any, NamedTuple

from fleet.policies import Overrides, Policies
from fleet.policy_rules import pairs

#: Where a limit is said, as the file heads it, and what is said there.
_Layer = tuple[str, Overrides]


class Said(NamedTuple):
    """A value, and the table that says it; "" where it is built in."""

    value: float
    where: str


class Contradiction(NamedTuple):
    """Two values that exclude each other at a meter to which both apply."""

    #: The table that speaks last.
    where: str
    name: str
    sentence: str


def contradictions(policies: Policies, default_said: Overrides | None = None) -> list[Contradiction]:
    """Find limits that would contradict each other at some meter.

    A meter may belong to any company and be of any model, so every combination that the tables
    allow has to make sense, whether or not such a meter is registered.

    Parameters
    ----------
    policies
        Everything that differs from the built-in defaults.
    default_said
        What the group's own default says, so that it can be named.
    """
    found: dict[tuple[str, str], Contradiction] = {}
    for low, high in pairs():
        for smaller, larger in set(_values(policies, default_said or {}, low, high)):
            if smaller.value <= larger.value:
                continue
            # The last to speak is the one with the longer way from the default.
            where = max(smaller.where, larger.where, key=_rank) or "[default]"
            sentence = (
                f"{_short(low)} {smaller.value:g}{_of(smaller, where)} is above "
                f"{_short(high)} {larger.value:g}{_of(larger, where)}; lower the one or raise the other"
            )
            found.setdefault((where, low), Contradiction(where, low, sentence))
    return sorted(found.values())


def _values(policies: Policies, default_said: Overrides, low: str, high: str) -> Iterator[tuple[Said, Said]]:
    """Yield what the two limits can be at a meter, each combination of tables once or more."""
    builtin = (
        Said(_look(policies.default, low), "[default]" if _has(default_said, low) else ""),
        Said(_look(policies.default, high), "[default]" if _has(default_said, high) else ""),
    )

    def speaks(said: Overrides) -> bool:
        return _has(said, low) or _has(said, high)

    companies: list[list[_Layer]] = [[]]
    companies += [[(f"[company.{code}]", said)] for code, said in policies.companies.items() if speaks(said)]
    models = [layers for layers in _models(policies) if not layers or any(speaks(said) for _, said in layers)]
    combined = {
        reduce(lambda pair, layer: _over(pair, layer, low, high), [*company, *model], builtin)
        for company, model in product(companies, models)
    }
    yield from combined
    for meter_id, said in policies.meters.items():
        if speaks(said):
            yield from (_over(pair, (f"[meter.{meter_id}]", said), low, high) for pair in combined)


def _models(policies: Policies) -> Iterator[list[_Layer]]:
    """Yield what a model can be told: nothing, by its technology, by its size, by both."""
    yield []
    for model, said in policies.models.items():
        layer = (f'[model."{model}"]' if "/" in model else f"[model.{model}]", said)
        technology = policies.models.get(model.split("/")[0], {}) if "/" in model else {}
        yield [(f"[model.{model.split('/')[0]}]", technology), layer] if technology else [layer]


def _over(pair: tuple[Said, Said], layer: _Layer, low: str, high: str) -> tuple[Said, Said]:
    where, said = layer
    smaller = Said(_look(said, low), where) if _has(said, low) else pair[0]
    larger = Said(_look(said, high), where) if _has(said, high) else pair[1]
    return smaller, larger


def _look(said: Any, name: str) -> float:
    for part in name.split("."):
        said = said[part] if isinstance(said, Mapping) else getattr(said, part)
    return float(said)


def _has(said: Any, name: str) -> bool:
    for part in name.split("."):
        if not isinstance(said, Mapping) or part not in said:
            return False
        said = said[part]
    return True


def _rank(where: str) -> int:
    order = ("", "[default]", "[company", "[model", "[meter")
    return max(at for at, head in enumerate(order) if where.startswith(head))


def _short(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def _of(said: Said, here: str) -> str:
    if said.where == here:
        return ""
    return f" of {said.where}" if said.where else ", the built-in default,"
