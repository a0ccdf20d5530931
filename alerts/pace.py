"""How much work a cycle takes: more while it is behind, so that states and alarms serve more readings."""

from __future__ import annotations


class Pace:
    """A number of rows of work that follows the backlog.

    A cycle that took all it could was behind, so the next one takes twice as much, up to about so
    many readings by what the last one had in a row. One that failed may have met a person or another
    engine: a small one is tried then, which holds and repeats less.
    """

    def __init__(self, rows: int, readings: int) -> None:
        """Begin with `rows`, and never take less; `readings` is where it stops growing."""
        self._least = rows
        self._readings = readings
        self.rows = rows

    def done(self, rows: int, readings: int) -> None:
        """Note what a cycle took."""
        if rows < self.rows:
            self.rows = self._least
        elif readings:
            self.rows = max(min(2 * rows, self._readings * rows // readings), self._least)

    def failed(self) -> None:
        """Note that a cycle came to nothing."""
        self.rows = self._least
