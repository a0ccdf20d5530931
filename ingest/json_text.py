"""JSON as bytes, read leniently: what it holds, or why it cannot be read; pure, never raises."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

_LONGEST_QUOTE = 60
_MOST_DIGITS = 1000


def load(
    payload: bytes, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> tuple[Any, str | None]:
    """Read a payload; NaN and infinities pass, so that the rules can name the field that holds them.

    Gives what it holds and None, or None and the reason; `pairs` makes something of each object's
    members, as in `json.loads`.
    """
    try:
        return json.loads(payload.decode("utf-8"), object_pairs_hook=pairs, parse_int=_whole), None
    except UnicodeDecodeError as error:
        return None, f"is not UTF-8 at byte {error.start}"
    except RecursionError:
        return None, "is nested too deeply"
    except ValueError as error:
        return None, f"is not JSON: {str(error)[:_LONGEST_QUOTE]}"


def _whole(digits: str) -> int | float:
    """Read a whole number; Python refuses to read one of thousands of digits, which no field may hold."""
    return int(digits) if len(digits) <= _MOST_DIGITS else math.copysign(math.inf, float(digits[:2]))
