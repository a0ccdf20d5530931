"""Loader of `queries.sql` files: every statement has a name and a sentence."""

from __future__ import annotations

import re
from importlib import resources

_NAME = re.compile(r"^-- ([a-z0-9_]+) --$")


def parse_queries(text: str) -> dict[str, str]:
    """Split a `queries.sql` into name -> statement.

    Each statement starts with a line `-- name --`, then at least one comment line that says
    what it does. Raises ValueError on a name used twice or a statement without a description.
    """
    queries: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        match = _NAME.match(line)
        if match is None:
            lines.append(line)
            continue
        if match[1] in queries:
            msg = f"query {match[1]} stands twice"
            raise ValueError(msg)
        lines = queries[match[1]] = []
    return {name: _body(name, body) for name, body in queries.items()}


def load_queries(package: str) -> dict[str, str]:
    """Load the `queries.sql` of a package, for example `load_queries("alerts.alarms")`."""
    return parse_queries(resources.files(package).joinpath("queries.sql").read_text("utf-8"))


def _body(name: str, lines: list[str]) -> str:
    if not lines or not lines[0].startswith("-- "):
        msg = f"query {name} has no description"
        raise ValueError(msg)
    return "\n".join(line for line in lines if not line.startswith("--")).strip()
