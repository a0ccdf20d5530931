"""From Sparkplug metrics to readings: names found, metrics of one moment put together; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ingest.formats.sparkplug_payload import Metric
from ingest.rules import MEASUREMENTS, RULES, Decoded, quote, take

#: Metrics that concern the edge node itself, whatever their last name is.
_CONTROL = ("bdSeq", "Node Control/", "Device Control/")
#: `ts` is no metric: each metric has its own time.
_FIELDS = frozenset(RULES) - {"ts"}
#: What an entry of a mapping takes with what belongs to it, about, but for its text.
ENTRY_BYTES = 75


@dataclass(frozen=True, slots=True)
class Births:
    """What a birth certificate says of the metrics that data messages name by alias."""

    names: Mapping[int, str]
    datatypes: Mapping[str, int]

    @property
    def size_bytes(self) -> int:
        """Memory that it takes, about."""
        return sum(ENTRY_BYTES + len(name) for name in (*self.names.values(), *self.datatypes))


@dataclass(slots=True)
class _Moment:
    """What a message says of one moment: wire fields, and what is wrong with them already."""

    fields: dict[str, Any] = field(default_factory=dict)
    wrong: list[tuple[str, str]] = field(default_factory=list)

    def is_reading(self) -> bool:
        """Tell whether anything is said that only a reading says; births carry much else, and nulls."""
        return bool(self.wrong) or any(self.fields.get(name) is not None for name in (*MEASUREMENTS, "seq"))


def births(metrics: Iterable[Metric]) -> Births:
    """Read a birth certificate."""
    named = [(metric, metric.name) for metric in metrics if metric.name is not None]
    return Births(
        names={metric.alias: name for metric, name in named if metric.alias is not None},
        datatypes={name: metric.datatype for metric, name in named if metric.datatype is not None},
    )


def to_readings(metrics: Iterable[Metric], known: Births | str) -> tuple[Decoded, bool]:
    """Put the metrics of one device together, a reading for each moment; `Reason.item` counts moments.

    `known` is the device's birth certificate, or why there is none to be trusted. Gives also whether
    all aliases were found.
    """
    born, missing = (known, "it is in no birth") if isinstance(known, Births) else (None, known)
    decoded, resolved = Decoded(), True
    moments: dict[int | None, _Moment] = {}
    for metric in metrics:
        moment = moments.setdefault(metric.time_ms, _Moment())
        name = metric.name
        if name is None and born is not None and metric.alias is not None:
            name = born.names.get(metric.alias)
        if name is None:
            moment.wrong.append(("metric", _nameless(metric.alias, missing)))
            resolved = resolved and metric.alias is None
        elif not name.startswith(_CONTROL):
            decoded.unknown_fields += not _add(moment, name, metric, born)
    for item, (time_ms, moment) in enumerate(moments.items()):
        if moment.is_reading():
            when = {} if time_ms is None else {"ts": time_ms}
            take(decoded, item, when | moment.fields, moment.wrong)
    return decoded, resolved


def _nameless(alias: int | None, missing: str) -> str:
    return "has neither name nor alias" if alias is None else f"alias {alias} is not known: {missing}"


def _add(moment: _Moment, name: str, metric: Metric, born: Births | None) -> bool:
    """Add a metric to its moment, and tell whether it is a field of ours."""
    wire = name.rpartition("/")[2]
    if wire not in _FIELDS:
        return False
    value = metric.value(None if born is None else born.datatypes.get(name))
    if wire == "status" and isinstance(value, str):
        value = [code.strip() for code in value.split(",") if code.strip()]
    if wire in moment.fields and moment.fields[wire] != value:
        moment.wrong.append((wire, f"is given twice for one moment, the second time by {quote(name)}"))
    moment.fields[wire] = value
    return True
