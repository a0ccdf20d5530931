"""Transition tables as data: what may happen to a thing in a state, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from alerts.exceptions import UnknownTransitionError

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Transition(Generic[S, E]):
    """One row: in `state` (None: it does not exist yet), `event` leads to `to`."""

    state: S | None
    event: E
    to: S
    why: str


class TransitionTable(Generic[S, E]):
    """All rows of one kind of thing; whatever is not in it cannot happen."""

    def __init__(self, name: str, rows: Iterable[Transition[S, E]]) -> None:
        self.name = name
        self.rows = tuple(rows)
        self._to = {(row.state, row.event): row.to for row in self.rows}
        if len(self._to) != len(self.rows):
            msg = f"{name}: a state and an event stand in two rows"
            raise ValueError(msg)

    def after(self, state: S | None, event: E) -> S:
        """Give the state that follows.

        Raises UnknownTransitionError where the table has no such row.
        """
        to = self._to.get((state, event))
        if to is None:
            raise UnknownTransitionError(self.name, state, event)
        return to

    def possible(self, state: S | None, event: E) -> bool:
        """Tell whether the table has a row for this state and event."""
        return (state, event) in self._to

    def sources(self, event: E) -> list[S]:
        """List the states in which an event can happen."""
        return [row.state for row in self.rows if row.event == event and row.state is not None]

    def mermaid(self) -> str:
        """Draw the table as a Mermaid state diagram."""
        targets = {row.to for row in self.rows}
        final = sorted(targets - {row.state for row in self.rows})
        lines = ["stateDiagram-v2"]
        lines += [f"    {row.state or '[*]'} --> {row.to}: {row.event}" for row in self.rows]
        lines += [f"    {state} --> [*]" for state in final]
        return "\n".join(lines)

    def markdown(self) -> str:
        """Write the table with the reason of every row."""
        lines = ["| in state | event | then | why |", "|---|---|---|---|"]
        lines += [f"| {row.state or '(none)'} | {row.event} | {row.to} | {row.why} |" for row in self.rows]
        return "\n".join(lines)
