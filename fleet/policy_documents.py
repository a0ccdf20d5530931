"""Policies kept apart: one document for the group as a whole, and one for each company.

Put one after another they are one policy file; so whoever answers for a company changes its
document only, and what the documents say together is checked as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fleet.policy_file import PolicyError, PolicyFile, checked, read_policies

#: What the group says for every company; a company's document is named by the company's code.
GROUP = "default"


def read_document(name: str, text: str) -> PolicyFile:
    """Read one document: the group's has every table but `[company]`, a company's its own table alone."""
    read = read_policies(text)
    if name == GROUP:
        foreign = [f"[company.{code}]" for code in read.companies]
        advice = "has a document of its own, named by the company's code; write it there"
    else:
        foreign = [
            *(["[default]"] if set(read.default) - {"battery"} else []),
            *(["[battery]"] if "battery" in read.default else []),
            *(f"[company.{code}]" for code in read.companies if code != name),
            *(f"[model.{model}]" for model in read.models),
            *(f"[meter.{meter}]" for meter in read.meters),
        ]
        advice = f"has no place in the document of {name}, which speaks under [company.{name}] alone"
    errors = [PolicyError(where, advice) for where in foreign]
    return replace(read, errors=(*read.errors, *errors))


def combined(documents: Mapping[str, PolicyFile]) -> PolicyFile:
    """Put documents together, and check what they say as a whole.

    Of documents with errors of their own only the errors are taken over.
    """
    errors = tuple(error for read in documents.values() for error in read.errors)
    good = [read for read in documents.values() if not read.errors]
    whole = PolicyFile(
        default={name: value for read in good for name, value in read.default.items()},
        companies={code: said for read in good for code, said in read.companies.items()},
        models={model: said for read in good for model, said in read.models.items()},
        meters={meter: said for read in good for meter, said in read.meters.items()},
        errors=errors,
    )
    return checked(whole)
