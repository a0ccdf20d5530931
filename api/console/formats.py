"""Dates, numbers, units and codes as the reader's language writes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_time, format_timedelta
from babel.numbers import format_decimal, format_percent
from babel.support import Translations

from alerts.alarms.case import LATE_UNTIL

#: Shown where there is nothing to show.
NOTHING = "\N{EN DASH}"

#: Beyond it nobody reads digits, and the decimal arithmetic of the formats gives up soon after.
_LARGEST_WRITTEN = 1e15


@dataclass(frozen=True, slots=True)
class Formats:
    """Everything that turns a value into text of one language."""

    locale: Locale
    translations: Translations

    def word(self, kind: str, code: str | None) -> str:
        """Say a code in words, for example `word("check", "meter_silent")`."""
        if not code:
            return NOTHING
        key = f"{kind}.{code}"
        said = str(self.translations.gettext(key))
        # A code that the catalogue does not know is still better than an empty cell.
        return code if said == key else said

    def note(self, text: str | None) -> str:
        """Say a note of the journal: the engine's own ones are messages, a person's stay as they are."""
        if not text:
            return NOTHING
        message, late, parameter = text.partition(LATE_UNTIL)
        if late and not message:
            return str(self.translations.gettext(LATE_UNTIL)) + parameter
        return str(self.translations.gettext(text))

    def day(self, value: date | None) -> str:
        """Write a date of the calendar."""
        return NOTHING if value is None else str(format_date(value, "medium", locale=self.locale))

    def moment(self, value: datetime | None, zone: str) -> str:
        """Write date and time of day in a time zone; `zone_label` says which."""
        return NOTHING if value is None else f"{self.day_of(value, zone)} {self.time_of_day(value, zone)}"

    def day_of(self, value: datetime, zone: str) -> str:
        """Write the date that a moment has in a time zone."""
        return self.day(value.astimezone(ZoneInfo(zone)).date())

    def time_of_day(self, value: datetime, zone: str) -> str:
        """Write the time of day that a moment has in a time zone."""
        return str(format_time(value.astimezone(ZoneInfo(zone)), "HH:mm", locale=self.locale))

    def zone_label(self, value: datetime, zone: str) -> str:
        """Write a zone's offset at a moment, for example UTC+8."""
        offset = value.astimezone(ZoneInfo(zone)).utcoffset() or timedelta(0)
        minutes = int(offset.total_seconds()) // 60
        hours, rest = divmod(abs(minutes), 60)
        return f"UTC{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02d}" if rest else "")

    def span(self, value: timedelta) -> str:
        """Write a length of time in its largest unit."""
        return str(format_timedelta(max(value, timedelta(0)), threshold=1.5, locale=self.locale))

    def ago(self, value: datetime | None, now: datetime) -> str:
        """Write how long ago something was."""
        if value is None:
            return NOTHING
        return str(format_timedelta(value - now, add_direction=True, threshold=1.5, locale=self.locale))

    def number(self, value: float | None, digits: int = 3) -> str:
        """Write a number with at most so many decimals."""
        if value is None:
            return NOTHING
        if abs(value) >= _LARGEST_WRITTEN:
            return f"{value:.3g}"
        pattern = "#,##0." + "#" * digits if digits else "#,##0"
        return str(format_decimal(value, pattern, locale=self.locale))

    def quantity(self, value: float | None, unit: str | None) -> str:
        """Write a value with its unit (UCUM code, CNY, or none)."""
        if value is None:
            return NOTHING
        if unit == "1":
            return str(format_percent(value, "#,##0.#%", locale=self.locale))
        if unit == "s":
            return self.span(timedelta(seconds=min(value, 1e9)))
        if unit == "d":
            return f"{self.number(value, 1)} {self.word('unit', 'd')}"
        return f"{self.number(value)} {self.word('unit', unit)}" if unit else self.number(value)
