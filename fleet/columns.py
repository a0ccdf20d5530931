"""Rows as columns: what every table of arrays in the house can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray


class Columns:
    """Rows as columns of one length: the fields of a dataclass, each an array or `Columns` themselves."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Any]]

    @classmethod
    def empty(cls) -> Self:
        """Make no rows, of the right types."""
        raise NotImplementedError

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Join in the order given."""
        if not parts:
            return cls.empty()
        return cls(**{name: _joined([getattr(p, name) for p in parts]) for name in cls.__dataclass_fields__})

    def __len__(self) -> int:
        return len(getattr(self, next(iter(self.__dataclass_fields__))))

    def take(self, rows: NDArray[Any] | slice) -> Self:
        """Select rows by a mask, by positions or by a slice."""
        return type(self)(**{name: _taken(getattr(self, name), rows) for name in self.__dataclass_fields__})


def _taken(column: Any, rows: NDArray[Any] | slice) -> Any:
    return column.take(rows) if isinstance(column, Columns) else column[rows]


def _joined(columns: list[Any]) -> Any:
    if isinstance(columns[0], Columns):
        return type(columns[0]).concatenate(columns)
    return np.concatenate(columns)
