"""The part of `meterwarden check` that speaks of policies: reading them, and comparing two."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from analytics.backtest import Comparison, Outcome, count_by_check
from fleet.meters import Meter
from fleet.policies import Origin
from fleet.policy_file import PolicyFile, hint, read_policies
from runtime.findings import COLUMNS as FINDING_COLUMNS
from runtime.findings import Finding, findings_of

#: Columns of `--compare`.
COLUMNS = (
    "meter_id",
    "check",
    "change",
    "started_at",
    "ended_at",
    "severity",
    "value",
    "limit",
    "limit_from",
)


class PolicyRefusedError(ValueError):
    """A policy file that cannot be used; the message says what to do, after the errors one by one."""

    def __init__(self, message: str, errors: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.errors = list(errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyOptions:
    """Which policies to check under, and what to compare."""

    #: TOML; None for the built-in defaults.
    policy: Path | None = None
    #: What to compare it with; None for the built-in defaults.
    before: Path | None = None
    #: Where to write what becomes of each finding, as CSV.
    compare: Path | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ChosenPolicies:
    """The policies that options name, read and found good."""

    options: PolicyOptions
    after: PolicyFile
    before: PolicyFile

    @property
    def compared(self) -> bool:
        """Whether there is anything to compare."""
        return self.options.policy is not None

    def strangers(self, meters: Iterable[Meter]) -> list[str]:
        """Say which tables of the policy speak of nobody in the registry."""
        return [f"{self.options.policy}: {said}" for said in strangers(self.after, meters)]

    def tell(self, comparison: Comparison, meter_ids: Sequence[str]) -> list[str]:
        """Write the comparison to its file, if there is one; give it as lines. Raises OSError."""
        if self.options.compare is not None:
            write_comparison(comparison, meter_ids, self.options.compare)
        against = self.options.before or "the built-in defaults"
        return [f"under {self.options.policy}, against {against}:", *table(comparison)]


def read_options(options: PolicyOptions) -> ChosenPolicies:
    """Read what the options name. Raises PolicyRefusedError."""
    for name, given in (("--policy-before", options.before), ("--compare", options.compare)):
        if given is not None and options.policy is None:
            msg = f"{name} says what a policy would change; name that policy with --policy NEW.toml"
            raise PolicyRefusedError(msg)
    return ChosenPolicies(
        options,
        read_policy_file(options.policy) if options.policy else PolicyFile(),
        read_policy_file(options.before) if options.before else PolicyFile(),
    )


def read_policy_file(path: Path) -> PolicyFile:
    """Read a policy file. Raises PolicyRefusedError with every error in it."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        msg = f"cannot read the policy {path}: {error.strerror or error}"
        raise PolicyRefusedError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"the policy {path} is not UTF-8 at byte {error.start}; save it as UTF-8"
        raise PolicyRefusedError(msg) from error
    read = read_policies(text)
    if len(read.errors) == 1:
        msg = f"{path}: {read.errors[0]}"
        raise PolicyRefusedError(msg)
    if read.errors:
        msg = f"{path} has {len(read.errors)} errors; correct them and try again"
        raise PolicyRefusedError(msg, [f"{path}: {error}" for error in read.errors])
    return read


def strangers(read: PolicyFile, meters: Iterable[Meter]) -> list[str]:
    """List the tables of companies, models and meters that nobody in the registry belongs to."""
    meters = list(meters)
    known = {
        "company": {meter.company for meter in meters},
        "model": {str(meter.technology) for meter in meters}
        | {f"{meter.technology}/{meter.g_size}" for meter in meters},
        "meter": {meter.meter_id for meter in meters},
    }
    said = {"company": read.companies, "model": read.models, "meter": read.meters}
    return [
        f"[{kind}.{name}] speaks of no meter in the registry{hint(name, known[kind])}"
        for kind, names in said.items()
        for name in names
        if name not in known[kind]
    ]


def compared_rows(comparison: Comparison, meter_ids: Sequence[str]) -> list[list[str]]:
    """Write a comparison as rows in the order of `COLUMNS`."""
    findings = findings_of(comparison.episodes, meter_ids)
    of = zip(findings, comparison.outcome.tolist(), comparison.episodes.origin.tolist(), strict=True)
    return [_row(finding, Outcome(outcome), Origin(origin)) for finding, outcome, origin in of]


def write_comparison(comparison: Comparison, meter_ids: Sequence[str], path: Path) -> None:
    """Write a comparison as CSV. Raises OSError."""
    with path.open("w", encoding="utf-8", newline="") as sink:
        writer = csv.writer(sink, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(compared_rows(comparison, meter_ids))


def table(comparison: Comparison) -> list[str]:
    """Print a comparison as lines: each check's findings by what becomes of them."""
    words = [outcome.word for outcome in Outcome]
    lines = [f"  {'check':<26}" + "".join(f"{word:>8}" for word in words) + f"{'meters':>9}"]
    for code, counts in count_by_check(comparison).items():
        numbers = "".join(f"{getattr(counts, word):>8}" for word in words)
        lines.append(f"  {code:<26}{numbers}{counts.meters_changed:>9}")
    return lines


def _row(finding: Finding, outcome: Outcome, origin: Origin) -> list[str]:
    cells = dict(zip(FINDING_COLUMNS, finding.row(), strict=True))
    cells |= {"change": outcome.word, "limit_from": origin.word or ""}
    return [cells[name] for name in COLUMNS]
