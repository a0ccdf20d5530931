"""Which messages the console can show: those of its templates, and one per code of every list."""

from __future__ import annotations

import io
from collections.abc import Iterator
from importlib import resources

from jinja2.ext import babel_extract

from alerts.alarms.case import CORRECTION, LAST_CORRECTED, LATE_UNTIL, ONSET_CORRECTED
from alerts.alarms.lifecycle import Event, State
from alerts.inspections.tasks import TaskState
from api.console.alarm_pages import ACTOR
from api.console.meter_pages import Span
from api.console.routes import EXPLAINED
from api.meter_status import MeterStatus
from api.obligations import ObligationStatus
from fleet.checks import BY_CODE, Severity, TaskKind
from fleet.meters import CustomerKind, ReadingClass, Technology
from fleet.policies import Origin
from fleet.policy import BATTERIES
from fleet.wire import STATUS_CODES, VALVES

#: Kind of code, as `Formats.word` names it -> every code of that kind.
CODES: dict[str, tuple[str, ...]] = {
    "actor": ("engine", "api", ACTOR),
    "alarm_event": tuple(Event),
    "alarm_state": tuple(State),
    "battery_type": tuple(BATTERIES),
    "check": tuple(BY_CODE),
    "check_meaning": tuple(BY_CODE),
    "customer_kind": tuple(CustomerKind),
    "error": tuple(map(str, EXPLAINED)),
    "error_hint": tuple(map(str, EXPLAINED)),
    "limit_from": tuple(origin.word for origin in Origin if origin.word),
    "meter_status": tuple(MeterStatus),
    "meter_status_meaning": tuple(MeterStatus),
    "obligation_status": tuple(ObligationStatus),
    "reading_class": tuple(ReadingClass),
    "severity": tuple(Severity),
    "severity_letter": tuple(Severity),
    "span": tuple(Span),
    "status_code": STATUS_CODES,
    "task_kind": tuple(TaskKind),
    "task_state": tuple(TaskState),
    "technology": tuple(Technology),
    "unit": ("m3", "m3/h", "m3/h/s", "kPa", "Cel", "V", "d", "CNY"),
    "valve": VALVES,
}

#: What the engine writes into the journal.
_NOTES = (CORRECTION, LATE_UNTIL, ONSET_CORRECTED, LAST_CORRECTED)

_FUNCTIONS = ("_", "gettext", "ngettext")

#: A message, or its singular and plural.
Message = str | tuple[str, ...]


def needed_messages() -> set[Message]:
    """Gather every message that a catalogue has to hold."""
    codes = {f"{kind}.{code}" for kind, of_kind in CODES.items() for code in of_kind}
    return {*codes, *_NOTES, *_of_templates()}


def _of_templates() -> Iterator[Message]:
    for path in resources.files("api.console").joinpath("templates").iterdir():
        source = io.BytesIO(path.read_bytes())
        for _line, function, found, _comments in babel_extract(source, _FUNCTIONS, [], {"silent": "false"}):
            texts = (found,) if isinstance(found, str) else tuple(text for text in found or () if text)
            yield texts[:2] if function == "ngettext" else texts[0]
